"""Messages between the app and the processes that read strangers' files: JSON, and raw bytes.

Nothing that arrives is ever run or unpickled, and its size is bounded before it is read: whoever
has taken over the other end can lie, no more.
"""

from __future__ import annotations

import array
import json
import os
import select
import socket
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_PREFIX = struct.Struct("<II")
MOST_HEADER = 32 << 20  # bytes
MOST_PAYLOAD = 256 << 20


class ChannelError(Exception):
    """The other end has closed, or does not speak the language."""


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes:
        header: JSON object.
        payload: bytes that go with it.
        files: descriptors that came with it; the receiver closes them.
    """

    header: dict[str, Any]
    payload: bytes = b""
    files: tuple[int, ...] = ()


class Channel:
    """One end of a pair of sockets.

    Args:
        end: the socket, which belongs to the channel from now on.
        most: bytes of payload that are accepted.
        files: accept descriptors, too.
    """

    def __init__(self, end: socket.socket, most: int = MOST_PAYLOAD, files: bool = False) -> None:
        self._end = end
        self._most = most
        self._files = files

    @staticmethod
    def pair() -> tuple[socket.socket, socket.socket]:
        """Return both ends; neither is inherited by programs that are started."""
        return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)

    def send(
        self, header: Mapping[str, Any], payload: bytes = b"", files: Sequence[int] = ()
    ) -> None:
        """Send a message; raises ChannelError where the other end has closed."""
        text = json.dumps(header).encode("ascii")
        start = _PREFIX.pack(len(text), len(payload)) + text
        try:
            if files:
                sent = socket.send_fds(self._end, [start], list(files))
                start = start[sent:]
            self._end.sendall(start + payload if payload else start)
        except OSError as error:
            raise ChannelError(str(error)) from error

    def waiting(self) -> bool:
        """Tell whether a message, or the end, can be received without waiting."""
        return self._ready(0)

    def receive(self, timeout: float | None = None) -> Message:
        """Wait for the next message.

        Args:
            timeout: seconds to wait for it to be complete; default, forever.

        Raises:
            TimeoutError: it has not come by then.
            ChannelError: the other end has closed, or what it sends is no message.
        """
        until = None if timeout is None else time.monotonic() + timeout
        files: list[int] = []
        try:
            prefix = self._read(_PREFIX.size, until, files)
            length, extra = _PREFIX.unpack(prefix)
            if length > MOST_HEADER or extra > self._most:
                raise ChannelError("a message is too long")
            header = json.loads(self._read(length, until, files))
            payload = self._read(extra, until, files)
        except (ValueError, RecursionError, OSError) as error:
            _close(files)
            if isinstance(error, TimeoutError):
                raise
            raise ChannelError(str(error)) from error
        except ChannelError:
            _close(files)
            raise
        if not isinstance(header, dict):
            _close(files)
            raise ChannelError("a message is no object")
        return Message(header, payload, tuple(files))

    def close(self) -> None:
        """Close this end; the other one is told by its next message."""
        self._end.close()

    def _ready(self, seconds: float | None) -> bool:
        # poll, not select: an app with many files has descriptors above 1023.
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        return bool(poll.poll(None if seconds is None else max(seconds, 0) * 1000))

    def _read(self, count: int, until: float | None, files: list[int]) -> bytes:
        pieces, missing = [], count
        while missing:
            if not self._ready(None if until is None else until - time.monotonic()):
                raise TimeoutError
            most = min(missing, 1 << 20)
            if self._files:
                space = socket.CMSG_SPACE(4 * array.array("i").itemsize)
                piece, extra, _, _ = self._end.recvmsg(most, space)
                for level, kind, data in extra:
                    if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                        numbers = array.array("i")
                        numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
                        files.extend(numbers)
            else:
                piece = self._end.recv(most)
            if not piece:
                raise ChannelError("the other end has closed")
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)


def _close(files: Sequence[int]) -> None:
    for number in files:
        os.close(number)

"""A clip that arrives as multipart/form-data, written to disk as it comes (RFC 7578).

Nothing of the clip is held in memory but the piece that is being written, and its SHA-256 is
taken on the way, so that it is not read a second time.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from detector.errors import ServiceError, TooLarge

MOST_FIELDS = 20
MOST_FIELD = 1000  # bytes
MOST_NAME = 255
FORM_OVERHEAD = 64 << 10  # bytes of a form beside its clip
PIECE = 1 << 20  # bytes written at a time, in a thread
PATIENCE = 30.0  # seconds without a byte
SLOWEST = 16 << 10  # bytes a second, on average, after `PATIENCE`


class BadForm(ServiceError):
    """What was sent is no form with one clip."""


class TooSlow(ServiceError):
    """The clip arrives too slowly, or not at all."""


@dataclass(frozen=True)
class Received:
    """A clip that is all there.

    Attributes:
        path: its file.
        name: as the sender gave it.
        sha256: hex.
        fields: the other fields of the form.
    """

    path: Path
    name: str
    sha256: str
    fields: dict[str, str]


async def receive(
    stream: AsyncIterator[bytes], content_type: str, path: Path, most: int
) -> Received:
    """Write the form's field `clip` to `path`.

    Args:
        stream: the request's body.
        content_type: header of the request.
        path: where the clip is written; there is nothing when this raises.
        most: bytes that the clip may have.

    Raises:
        BadForm: it is no such form, has no clip or more than one, or the clip is empty.
        TooLarge: there are more than `most` bytes.
        TooSlow: nothing came for `PATIENCE` seconds, or less than `SLOWEST`.
        ServiceError: the disk is full.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise BadForm("Send the clip as multipart/form-data, in a field called “clip”.")
    complete = False
    try:
        with _Form(path, boundary) as form:
            async for piece in _pieces(stream, most):
                await asyncio.to_thread(form.write, piece)
            received = await asyncio.to_thread(form.end)
            complete = True
            return received
    except FormParserError as error:
        raise BadForm(
            "What was sent cannot be read as multipart/form-data; send it again with a client "
            "that writes such forms."
        ) from error
    except ClientDisconnect as error:
        raise BadForm("The upload ended before all of it was there; send it again.") from error
    except OSError as error:
        raise ServiceError(
            f"The clip cannot be stored ({error.strerror}); free some disk space on the server "
            "and send it again."
        ) from error
    finally:
        if not complete:
            path.unlink(missing_ok=True)


async def _pieces(stream: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    """Yield the body in larger pieces; raises TooLarge and TooSlow."""
    begun, size, held = time.monotonic(), 0, bytearray()
    chunks = aiter(stream)
    while True:
        try:
            async with asyncio.timeout(PATIENCE):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            break
        except TimeoutError as error:
            raise TooSlow(
                f"Nothing of the clip arrived for {PATIENCE:.0f} seconds; send it again."
            ) from error
        size += len(chunk)
        if size > most + FORM_OVERHEAD:
            raise too_large(most)
        seconds = time.monotonic() - begun
        if seconds > PATIENCE and size < SLOWEST * seconds:
            raise TooSlow("The clip arrives too slowly; send it again over a better connection.")
        held += chunk
        if len(held) >= PIECE:
            yield bytes(held)
            held.clear()
    yield bytes(held)


def too_large(most: int) -> TooLarge:
    """Return the error for more than `most` bytes."""
    return TooLarge(
        f"The clip is larger than the {most:,} bytes that are allowed here; send a shorter part "
        "of it."
    )


class _Form:
    """Takes the body's bytes; writes the clip and keeps the other fields."""

    def __init__(self, path: Path, boundary: bytes) -> None:
        self._path = path
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begin,
                "on_header_begin": self._header_begin,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_part_data": self._part_data,
                "on_part_end": self._part_end,
                "on_end": self._whole,
            },
        )
        self._fields: dict[str, str] = {}
        self._headers: dict[bytes, bytes] = {}
        self._header = [bytearray(), bytearray()]  # name and value of the one that arrives
        self._name: str | None = None  # of the field that arrives
        self._value = bytearray()
        self._file: IO[bytes] | None = None
        self._clip_name: str | None = None
        self._is_clip = False
        self._size = 0
        self._hash = hashlib.sha256()
        self._ended = False

    def __enter__(self) -> _Form:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        self._parser.write(data)

    def end(self) -> Received:
        """Return what was received; raises BadForm unless it is whole and holds a clip."""
        if not self._ended:
            raise BadForm("The upload ended before all of it was there; send it again.")
        if self._clip_name is None or self._file is None:
            raise BadForm("There is no clip in what was sent; put its file into a field “clip”.")
        if not self._size:
            raise BadForm("The clip that was sent is empty; choose its file again.")
        self._file.flush()
        return Received(self._path, self._clip_name, self._hash.hexdigest(), self._fields)

    def _part_begin(self) -> None:
        self._headers = {}
        self._value.clear()

    def _header_begin(self) -> None:
        for part in self._header:
            part.clear()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end]

    def _header_end(self) -> None:
        self._headers[bytes(self._header[0]).lower()] = bytes(self._header[1])

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        self._is_clip = name == "clip"
        if not name or (b"filename" in options) != self._is_clip:
            raise BadForm("Send one file, the clip, in a field called “clip”.")
        if self._is_clip:
            if self._file is not None:
                raise BadForm("There is more than one clip in what was sent; send them one by one.")
            self._clip_name = _plain(options[b"filename"].decode("utf-8", "replace"))
            self._file = self._path.open("xb")
        elif name in self._fields or len(self._fields) >= MOST_FIELDS:
            raise BadForm(f"The field “{name[:40]}” comes twice, or there are too many of them.")
        self._name = name

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        piece = memoryview(data)[start:end]
        if self._is_clip and self._file is not None:
            self._file.write(piece)
            self._hash.update(piece)
            self._size += len(piece)
            return
        self._value += piece
        if len(self._value) > MOST_FIELD:
            raise BadForm(f"The field “{(self._name or '')[:40]}” is too long.")

    def _part_end(self) -> None:
        if not self._is_clip and self._name is not None:
            self._fields[self._name] = self._value.decode("utf-8", "replace")

    def _whole(self) -> None:
        self._ended = True


def _plain(name: str) -> str:
    """Return the last part of a name, which some clients send with its folders."""
    return name.replace("\\", "/").rpartition("/")[2][:MOST_NAME] or "clip"

"""A clip that another process opens and decodes, in a sandbox: `ClipReader` for strangers' files.

`open_clip` is how the app opens whatever a person hands to it. The file is parsed by a process
that can do nothing else (`detector.media.sandbox`); its frames arrive through shared memory
while the app works on the one before. What arrives is checked: the other side may have been
taken over by the file that it reads.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import logging
import math
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from detector.errors import ClipError
from detector.limits import Limits
from detector.media.clip import Clip, Frame, check_file, shortened, too_much_memory
from detector.media.sandbox import fork_server
from detector.media.sandbox.channel import ChannelError, Message
from detector.media.sandbox.frame_buffer import SlotLayout, create_memory, map_slots
from detector.media.sandbox.linux import give_time
from detector.media.sandbox.sandbox import Defence
from detector.media.sandbox.untrusted import checked_clip, printable, sentence, whole_number

_OPENING = 120  # seconds of computing that opening may cost, and more for a large file
_PER_PIXEL = 2e-6  # seconds of computing that a pixel may cost: a hundred times what H.264 does


def open_clip(
    path: Path | str, name: str | None = None, limits: Limits | None = None
) -> SandboxedClip:
    """Open a clip in a sandbox; use it as a context manager.

    Args:
        path: the file.
        name: the name that the person gave it; default, the file's own.
        limits: what it may cost; default, as the environment sets them.

    Raises:
        ClipError: the file is no clip, holds no pictures, is beyond the limits, or made the
            process fail that reads it.
    """
    return SandboxedClip(path, name, limits)


class SandboxedFile:
    """A file that another process parses. Not shared between threads at the same time.

    Args:
        path, name, limits: as for `open_clip`.

    Attributes:
        label: the name, fit for a sentence.

    Raises:
        ClipError: there is no such file, or it is too large.
    """

    def __init__(
        self, path: Path | str, name: str | None = None, limits: Limits | None = None
    ) -> None:
        self.path = Path(path)
        self.name = name or self.path.name
        self.label = shortened(self.name)
        self.limits = limits or Limits.from_environment()
        check_file(self.path, self.label, self.limits)
        try:
            self._file = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise ClipError(
                f"“{self.label}” cannot be opened ({error.strerror}); check that it may be read."
            ) from error
        self._sha256: str | None = None
        try:
            self._process = fork_server.start()
        except BaseException:
            os.close(self._file)
            raise
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process and close the file; more calls do nothing."""
        if not self._closed:
            self._closed = True
            os.close(self._file)
            self._process.end()

    def __del__(self) -> None:
        if hasattr(self, "_closed"):
            with contextlib.suppress(Exception):
                self.close()

    @property
    def sha256(self) -> str:
        """Hash of the file, hex; taken here, since the other side could lie."""
        if self._sha256 is None:
            os.lseek(self._file, 0, os.SEEK_SET)
            with os.fdopen(os.dup(self._file), "rb") as file:
                self._sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return self._sha256

    @property
    def bytes(self) -> int:
        """Size of the file."""
        return os.fstat(self._file).st_size

    @property
    def process(self) -> int:
        """Id of the process that parses the file."""
        return self._process.number

    def ask(self, do: str, **more: Any) -> dict[str, Any]:
        """Hand the file over to be parsed, and return what comes back; raises ClipError."""
        self._begin(do, **more)
        return self._receive().header

    def _begin(self, do: str, **more: Any) -> None:
        # An open file, not a name alone: only this very file may be read in there.
        with _naming(self._file) as handle:
            self._send(
                do,
                files=(handle,),
                path=str(self.path.resolve()),
                name=self.name,
                limits=dataclasses.asdict(self.limits),
                seconds=self._opening_seconds(),
                **more,
            )

    def _opening_seconds(self) -> int:
        return _OPENING + self.bytes // (4 << 20)

    def _send(self, do: str, files: tuple[int, ...] = (), **more: Any) -> None:
        if self._closed:
            raise ValueError("the clip is closed")
        try:
            self._process.channel.send({"do": do, **more}, files=files)
        except ChannelError as error:
            raise self._ended() from error

    def _receive(self) -> Message:
        """Wait for an answer; raises ClipError where it is a refusal, or none comes."""
        while True:
            try:
                message = self._process.channel.receive(self.limits.stall)
            except TimeoutError:
                self.close()
                raise ClipError(
                    f"Decoding “{self.label}” made no progress for {self.limits.stall} s and was "
                    "stopped; the file is damaged or made to do harm, so export it as MP4."
                ) from None
            except ChannelError as error:
                raise self._ended() from error
            kind = message.header.get("is")
            if kind == "alive":
                continue
            if kind == "refused":
                raise ClipError(sentence(message.header.get("says")))
            if kind == "memory":
                raise too_much_memory(self.label)
            if kind == "failed":
                logging.getLogger("veriframe").error(
                    "reading a clip failed:\n%s", printable(message.header.get("trace"))
                )
                raise ClipError(
                    f"“{self.label}” cannot be read because of an unexpected error; export it as "
                    "MP4 and try again."
                )
            return message

    def _ended(self) -> ClipError:
        """Find out why the other side is gone."""
        status = None if self._closed else self._process.end(wait=True)
        self.close()
        if status == -signal.SIGXCPU:
            return ClipError(
                f"Decoding “{self.label}” took more computing time than is allowed here; cut the "
                "part you need or analyse fewer frames."
            )
        logging.getLogger("veriframe").warning("decoding ended with status %s", status)
        return ClipError(
            f"“{self.label}” made the decoder fail, which harmed nothing else; the file is damaged "
            "or made to do harm, so get the original or export it as MP4."
        )

    def wrong(self) -> ClipError:
        """End the other side, which answered nonsense: it is not trusted any further."""
        self.close()
        logging.getLogger("veriframe").warning("the decoder's answer makes no sense")
        return ClipError(
            f"“{self.label}” made the decoder answer nonsense; the file is damaged or made to do "
            "harm, so get the original or export it as MP4."
        )


class SandboxedClip(SandboxedFile):
    """`ClipReader` in another process: the same methods, frames, times and errors.

    Args:
        path, name, limits: as for `open_clip`.

    Attributes:
        defences: what holds around that process.

    Raises:
        ClipError: as from `open_clip`.
    """

    def __init__(
        self, path: Path | str, name: str | None = None, limits: Limits | None = None
    ) -> None:
        super().__init__(path, name, limits)
        self._slots: NDArray[np.uint8] | None = None
        self._sample = 0  # counts them: of an older one, nothing more is taken
        self._busy = False  # frames are on their way
        try:
            self._begin("open")
            self._read_opening(self._receive())
        except BaseException:
            self.close()
            raise

    def _read_opening(self, message: Message) -> None:
        header = message.header
        try:
            self._frames = whole_number(header["frames"], 1, self.limits.frames)
            width, height = header["size"]
            most = self.limits.pixels
            self._size = whole_number(width, 1, most), whole_number(height, 1, most)
            self._times = np.frombuffer(message.payload, "<f8").astype(np.float64)
            self.defences = tuple(Defence(**defence) for defence in header["defences"])
        except (KeyError, TypeError, ValueError) as error:
            raise self.wrong() from error
        finite = bool(np.isfinite(self._times).all())
        if self._size[0] * self._size[1] > most or len(self._times) != self._frames or not finite:
            raise self.wrong()

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self._frames

    @property
    def times(self) -> NDArray[np.float64]:
        """Presentation time of every frame, seconds [frames]."""
        return self._times.copy()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of every picture, pixels."""
        return self._size

    def describe(self) -> Clip:
        """Return the clip's own facts, its SHA-256 included; reads the file once."""
        self._quiet()
        self._send("describe")
        sha256 = self.sha256  # while the other side works
        facts = self._receive().header.get("clip")
        try:
            clip = checked_clip(facts)
        except (KeyError, TypeError, ValueError) as error:
            raise self.wrong() from error
        if (clip.width, clip.height) != self._size or clip.frames != self._frames:
            raise self.wrong()
        return dataclasses.replace(clip, name=self.name, sha256=sha256, bytes=self.bytes)

    def choose(self, count: int | None) -> list[int]:
        """Return the indices of `count` frames spread evenly over time; of all for None."""
        if count is None or count >= self.frames:
            return list(range(self.frames))
        if count < 1:
            raise ClipError("Choose at least one frame to analyse.")
        self._quiet()
        self._send("choose", count=count)
        payload = self._receive().payload
        chosen = np.frombuffer(payload[: len(payload) // 8 * 8], "<i8")
        inside = len(chosen) and chosen[0] >= 0 and chosen[-1] < self.frames
        if len(chosen) > count or not inside or (np.diff(chosen) <= 0).any():
            raise self.wrong()
        return [int(index) for index in chosen]

    def sample(self, count: int | None) -> Iterator[Frame]:
        """Decode frames spread evenly over time, in order, some ahead of their use.

        Args:
            count: how many; None for every frame.

        Yields:
            Frame, at most `count`; fewer where the clip is shorter or damaged.
        """
        if count is not None and count < 1:
            raise ClipError("Choose at least one frame to analyse.")
        yield from self._stream("sample", count=count)

    def frame_at(self, seconds: float) -> Frame:
        """Decode the frame that a player shows at `seconds`; outside the clip, its first or last.

        Raises:
            ClipError: that part of the clip cannot be decoded.
        """
        seconds = min(max(float(seconds), -1e9), 1e9) if not math.isnan(seconds) else 0.0
        for frame in self._stream("frame_at", seconds=seconds):
            return frame
        raise self.wrong()

    def _stream(self, do: str, **more: Any) -> Iterator[Frame]:
        self._quiet()
        slots = self._share_memory()
        self._grant_time()
        self._send(do, **more)
        self._busy = True
        self._sample += 1
        mine, last = self._sample, -1
        while True:
            try:
                header = self._receive().header
            except ClipError:
                self._busy = False  # a refusal stands for the end
                raise
            if header.get("is") == "end":
                self._busy = False
                return
            try:
                index = whole_number(header["index"], last + 1, self._frames - 1)
                slot = whole_number(header["slot"], 0, len(slots) - 1)
            except (KeyError, TypeError, ValueError) as error:
                raise self.wrong() from error
            image = slots[slot].copy()  # the other side may write into it again
            self._send("free", slot=slot)
            last = index
            yield Frame(index, float(self._times[index]), image)
            if self._sample != mine:
                raise ValueError("another sample of this clip has begun")

    def _grant_time(self) -> None:
        width, height = self._size
        pixels = width * height * (self._frames + 64)
        seconds = self._opening_seconds() + int(pixels * _PER_PIXEL)
        give_time(self._process.number, seconds, self.limits)

    def _quiet(self) -> None:
        """End a sample that nobody reads any more."""
        self._sample += 1
        if not self._busy:
            return
        self._busy = False
        self._send("stop")
        with contextlib.suppress(ClipError):
            while (header := self._receive().header).get("is") != "end":
                self._send("free", slot=header.get("slot"))

    def _share_memory(self) -> NDArray[np.uint8]:
        if self._slots is None:
            layout = SlotLayout.of(*self._size)
            file = create_memory(layout.total)
            try:
                slots = map_slots(file, layout)
                self._send("slots", files=(file,), **dataclasses.asdict(layout))
            finally:
                os.close(file)
            self._slots = slots
        return self._slots

    def close(self) -> None:
        """End the process, close the file, free the memory; more calls do nothing."""
        super().close()
        self._slots = None


def probe(path: Path | str, name: str | None = None, limits: Limits | None = None) -> Clip:
    """Return what a clip says of itself, its SHA-256 included; raises ClipError."""
    with open_clip(path, name, limits) as reader:
        return reader.describe()


def frame_at(path: Path | str, seconds: float) -> Frame:
    """Decode the frame that a player shows at `seconds`, in a sandbox; raises ClipError."""
    with open_clip(path) as reader:
        return reader.frame_at(seconds)


def describe_sandbox(limits: Limits | None = None) -> tuple[Defence, ...]:
    """Find out what holds on this system around the process that reads clips.

    Raises:
        ClipError: no such process can be started.
    """
    limits = limits or Limits.from_environment()
    process = fork_server.start()
    try:
        process.channel.send(
            {"do": "defences", "limits": dataclasses.asdict(limits), "seconds": _OPENING}
        )
        header = process.channel.receive(limits.stall).header
        return tuple(Defence(**defence) for defence in header["defences"])
    except (ChannelError, TimeoutError, KeyError, TypeError) as error:
        raise fork_server.cannot_start() from error
    finally:
        process.end()


@contextlib.contextmanager
def _naming(file: int) -> Iterator[int]:
    """Give a descriptor that names an open file and, on Linux, shares no position with it."""
    try:
        handle = os.open(f"/proc/self/fd/{file}", os.O_PATH | os.O_CLOEXEC)
    except (AttributeError, OSError):  # another system, or /proc is not there
        handle = os.dup(file)
    try:
        yield handle
    finally:
        os.close(handle)

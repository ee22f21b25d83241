"""Open and decode clips in a sandbox: the process `python -m detector.media.sandbox.worker FD`.

It is started once by the app, loads what decoding needs, and then waits; for each clip it makes a
copy of itself (fork), which closes the sandbox around itself before it sees the clip, serves that
one clip, and ends. So a clip costs milliseconds to begin with, and none can touch another. With
`--once` (where processes cannot be copied) it serves one clip itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import os
import pkgutil
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterable

import av.logging
import c2pa  # noqa: F401  # loaded before the sandbox closes
import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from detector.errors import DetectorError
from detector.limits import Limits
from detector.media.clip import Frame
from detector.media.provenance import container
from detector.media.reader import ClipReader
from detector.media.sandbox import linux, sandbox
from detector.media.sandbox.channel import Channel, ChannelError, Message
from detector.media.sandbox.frame_buffer import SlotLayout, map_slots

_REAPED_WITHIN = 2.0  # seconds
_ALIVE_EVERY = 0.5


class _Stopped(Exception):
    """The app wants no more frames."""


class Worker:
    """Serves one clip.

    Args:
        channel: to the app.
        network, parent: defences of the sandbox that hold already.
    """

    def __init__(self, channel: Channel, *, network: bool, parent: bool) -> None:
        self._channel = channel
        self._network, self._parent = network, parent
        self._reader: ClipReader | None = None
        self._slots: NDArray[np.uint8] | None = None
        self._free: set[int] = set()
        self._said = time.monotonic()

    def serve(self) -> None:
        """Answer until the app closes the channel."""
        with contextlib.suppress(ChannelError):
            while True:
                message = self._channel.receive()
                do = message.header.get("do")
                act = _ACTS.get(str(do))
                if act is None:
                    self._note(message)
                    continue
                try:
                    act(self, message)
                except ChannelError:
                    raise
                except DetectorError as error:
                    self._channel.send({"is": "refused", "says": str(error)})
                except MemoryError:
                    self._channel.send({"is": "memory"})
                except BaseException:
                    self._channel.send({"is": "failed", "trace": traceback.format_exc()[-4000:]})

    def open(self, message: Message) -> None:
        """Close the sandbox, then open the clip."""
        header = message.header
        limits = Limits(**header["limits"])
        defences = self._close_in(message, limits)
        self._reader = reader = ClipReader(
            header["path"], header["name"], limits, on_packet=self._alive
        )
        width, height = reader.size
        self._channel.send(
            {
                "is": "open",
                "frames": reader.frames,
                "size": [width, height],
                "defences": [dataclasses.asdict(defence) for defence in defences],
            },
            reader.times.astype("<f8").tobytes(),
        )

    def inspect(self, message: Message) -> None:
        """Close the sandbox, then read what the file says of itself."""
        header = message.header
        limits = Limits(**header["limits"])
        self._close_in(message, limits, callbacks=True)
        found = container.inspect_here(
            header["path"],
            name=header["name"],
            limits=limits,
            trust_anchors=header["trust_anchors"],
            sha256=header["sha256"],
            on_packet=self._alive,
        )
        self._channel.send({"is": "provenance", "found": dataclasses.asdict(found)})

    def defences(self, message: Message) -> None:
        """Close the sandbox around nothing, and say which defences hold."""
        defences = self._close_in(message, Limits(**message.header["limits"]))
        self._channel.send(
            {"is": "defences", "defences": [dataclasses.asdict(defence) for defence in defences]}
        )

    def choose(self, message: Message) -> None:
        """Say which frames a sample of that size would hold."""
        chosen = self._open_reader().choose(message.header["count"])
        self._channel.send({"is": "chosen"}, np.asarray(chosen, "<i8").tobytes())

    def sample(self, message: Message) -> None:
        """Decode frames and hand them over, one after the other."""
        self._send(self._open_reader().sample(message.header["count"]))

    def frame_at(self, message: Message) -> None:
        """Decode one frame and hand it over."""
        self._send([self._open_reader().frame_at(message.header["seconds"])])

    def describe(self, message: Message) -> None:
        """Say the clip's own facts; the app takes the hash itself."""
        clip = self._open_reader().describe(sha256="")
        self._channel.send({"is": "clip", "clip": dataclasses.asdict(clip)})

    def slots(self, message: Message) -> None:
        """Take the memory that frames are handed over in."""
        (file,) = message.files
        header = message.header
        layout = SlotLayout(header["count"], header["bytes"], tuple(header["shape"]))
        self._slots = map_slots(file, layout)
        os.close(file)
        self._free = set(range(layout.count))

    def _close_in(
        self, message: Message, limits: Limits, callbacks: bool = False
    ) -> tuple[sandbox.Defence, ...]:
        defences = sandbox.close_in(
            message.files[0] if message.files else None,
            limits,
            message.header["seconds"],
            network=self._network,
            parent=self._parent,
            callbacks=callbacks,
        )
        for number in message.files:
            os.close(number)
        return defences

    def _open_reader(self) -> ClipReader:
        if self._reader is None:
            raise RuntimeError("no clip is open")
        return self._reader

    def _send(self, frames: Iterable[Frame]) -> None:
        try:
            for frame in frames:
                slot = self._slot()
                assert self._slots is not None
                np.copyto(self._slots[slot], frame.image)
                self._channel.send(
                    {"is": "frame", "index": frame.index, "time": frame.time, "slot": slot}
                )
        except _Stopped:
            pass
        self._channel.send({"is": "end"})

    def _slot(self) -> int:
        """Wait for a free slot."""
        while not self._free or self._channel.waiting():
            if self._note(self._channel.receive()):
                raise _Stopped
        return self._free.pop()

    def _note(self, message: Message) -> bool:
        """Take back a slot; True where no more frames are wanted."""
        do = message.header.get("do")
        if do == "free":
            self._free.add(int(message.header["slot"]))
        return do == "stop"

    def _alive(self) -> None:
        now = time.monotonic()
        if now - self._said >= _ALIVE_EVERY:
            self._said = now
            self._channel.send({"is": "alive"})


_ACTS: dict[str, Callable[[Worker, Message], None]] = {
    "open": Worker.open,
    "inspect": Worker.inspect,
    "defences": Worker.defences,
    "choose": Worker.choose,
    "sample": Worker.sample,
    "frame_at": Worker.frame_at,
    "describe": Worker.describe,
    "slots": Worker.slots,
}


def prepare() -> None:
    """Load and set what must be there before a sandbox closes."""
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if module.name != "av.__main__":
            importlib.import_module(module.name)
    av.logging.set_level(None)
    PIL.Image.init()  # its formats are imported one by one otherwise
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the app's to answer
    os.chdir("/")


def serve_forks(control: Channel) -> None:
    """Make a copy for each clip, and say how each ended, until the app is gone."""
    network = linux.leave_network()
    prepare()
    own = os.getpid()
    with contextlib.suppress(ChannelError):
        while True:
            message = control.receive()
            if message.header.get("do") == "fork":
                (file,) = message.files
                child = os.fork()
                if child == 0:
                    try:
                        held = linux.die_with_parent(own)
                        control.close()
                        channel = Channel(socket.socket(fileno=file), files=True)
                        Worker(channel, network=network, parent=held).serve()
                    finally:
                        os._exit(0)
                os.close(file)
                control.send({"process": child})
            else:
                control.send({"status": _reap(int(message.header["process"]))})


def _reap(process: int) -> int | None:
    """Return how a copy ended: its exit code, or minus the signal; None while it still runs."""
    until = time.monotonic() + _REAPED_WITHIN
    while True:
        try:
            done, status = os.waitpid(process, os.WNOHANG)
        except ChildProcessError:
            return None
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            return None
        time.sleep(0.002)


def once(channel: Channel) -> None:
    """Serve one clip in this very process."""
    prepare()
    network = linux.leave_network()
    Worker(channel, network=network, parent=False).serve()


def main(arguments: list[str]) -> None:
    """Run on the socket that was inherited under the number `arguments[0]`."""
    channel = Channel(socket.socket(fileno=int(arguments[0])), files=True)
    (once if "--once" in arguments else serve_forks)(channel)


if __name__ == "__main__":
    main(sys.argv[1:])

"""What the sandbox costs: a scan of ten seconds of 1080p with it and without, in turns.

    python -m benchmarks.sandbox [--repeats 15]

Each row gives the median times, the median of the ratios of neighbours, and the same of the
seconds of computing in all processes, which other work on the machine moves less.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks import clips
from benchmarks.record import Record, Row, arguments, finish
from detector.analysis import scan as scan_module
from detector.analysis.engine import Engine
from detector.analysis.scan import scan
from detector.media.reader import ClipReader
from detector.media.sandbox import fork_server
from detector.media.sandboxed_clip import SandboxedClip, describe_sandbox
from detector.settings import Settings

FRAMES = 32
Opener = Callable[..., Any]


class Measured(SandboxedClip):
    """A sandboxed clip whose process tells, before it ends, how long it computed."""

    work = 0.0

    def close(self) -> None:
        if not self._closed:
            with contextlib.suppress(OSError):  # other systems than Linux
                fields = Path(f"/proc/{self.process}/stat").read_text().rsplit(")", 1)[1].split()
                ticks = int(fields[11]) + int(fields[12])
                Measured.work += ticks / os.sysconf("SC_CLK_TCK")
        super().close()


def both_ways(
    name: str, act: Callable[[Opener], object], repeats: int, promised: bool = False
) -> Row:
    """Both ways in turns, so that what else the machine does meets both."""
    ways: tuple[Opener, Opener] = (ClipReader, Measured)
    seconds: dict[Opener, list[float]] = {way: [] for way in ways}
    work: dict[Opener, list[float]] = {way: [] for way in ways}
    for way in ways:
        act(way)  # warm
    for turn in range(repeats):
        for way in ways if turn % 2 else ways[::-1]:
            Measured.work = 0.0
            started, computed = time.perf_counter(), time.process_time()
            act(way)
            seconds[way].append(time.perf_counter() - started)
            work[way].append(time.process_time() - computed + Measured.work)

    def ratio(taken: dict[Opener, list[float]]) -> float:
        return statistics.median(
            within / without
            for without, within in zip(taken[ClipReader], taken[Measured], strict=True)
        )

    values = {
        "plain ms": 1000 * statistics.median(seconds[ClipReader]),
        "sandboxed ms": 1000 * statistics.median(seconds[Measured]),
        "ratio": ratio(seconds),
        "computing ratio": ratio(work),
    }
    target = "at most 1.1 times the time without" if promised else ""
    return Row(name, values, target, values["ratio"] <= 1.1 if promised else None)


def main() -> None:
    """Run and print."""
    options = arguments(str(__doc__), 15)
    engine = Engine()
    engine.warm_up()
    fork_server.warm()
    with tempfile.TemporaryDirectory() as folder:
        path = clips.write(Path(folder) / "clip.mp4", 10)

        def first(opened: Opener) -> None:
            with opened(path):
                pass

        def read(opened: Opener, count: int | None) -> None:
            with opened(path) as reader:
                for _ in reader.sample(count):
                    pass
                reader.describe()

        def run_scan(opened: Opener, count: int | None) -> None:
            with mock.patch.object(scan_module, "open_clip", opened):
                scan(path, Settings(count), engine)

        every_frame = max(2, options.repeats // 5)
        rows = [
            both_ways("open", first, options.repeats),
            both_ways(f"decode {FRAMES} frames", lambda way: read(way, FRAMES), options.repeats),
            both_ways("decode every frame", lambda way: read(way, None), every_frame),
            both_ways(f"scan of {FRAMES} frames", lambda way: run_scan(way, FRAMES),
                      options.repeats, True),
            both_ways("scan of every frame", lambda way: run_scan(way, None), every_frame, True),
        ]  # fmt: skip
    holds = ", ".join(layer.name for layer in describe_sandbox() if layer.holds)
    finish(Record("sandbox", "The sandbox: 10 s of 1080p", rows, [f"Holds: {holds}."]), options.out)


if __name__ == "__main__":
    main()

"""What the cage costs: a scan of ten seconds of 1080p with it and without, in turns.

    python -m benchmarks.cage [--repeats 5] [--frames 32]

Each line gives median times and their ratio, and the same of the seconds of computing in all
processes: on a machine that does other things too, the latter is the one to trust.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import av
import cv2
import numpy as np

from detector import analysis, cage_process
from detector.analysis import Engine, Settings, analyse
from detector.caged_clip import CagedClip, describe_cage
from detector.clip import ClipReader
from detector.demonstration import PORTRAIT, pan_and_zoom
from detector.faces import BlazeFace

RATE, SECONDS, WIDTH, HEIGHT = 25, 10, 1920, 1080


@dataclass(frozen=True)
class Row:
    """One act, both ways.

    Attributes:
        name: of the act.
        plain: median seconds in the app's own process.
        caged: median seconds in the cage.
        plain_work, caged_work: median seconds of computing, all threads and processes.
    """

    name: str
    plain: float
    caged: float
    plain_work: float
    caged_work: float

    @property
    def ratio(self) -> float:
        """What the cage makes of the time: 1 = nothing."""
        return self.caged / self.plain

    @property
    def work_ratio(self) -> float:
        """What the cage makes of the computing: 1 = nothing."""
        return self.caged_work / self.plain_work


class Measured(CagedClip):
    """A caged clip whose process tells, before it ends, how long it computed."""

    work = 0.0

    def close(self) -> None:
        if not self._closed:
            with contextlib.suppress(OSError):  # other systems than Linux
                fields = Path(f"/proc/{self.process}/stat").read_text().rsplit(")", 1)[1].split()
                ticks = int(fields[11]) + int(fields[12])
                Measured.work += ticks / os.sysconf("SC_CLK_TCK")
        super().close()


def write_clip(path: Path) -> None:
    """A face beside a moving pattern, H.264 as phones write it."""
    portrait = cv2.cvtColor(cv2.imread(str(PORTRAIT)), cv2.COLOR_BGR2RGB)
    face = max(BlazeFace().detect(portrait), key=lambda found: found.size)
    pattern = np.random.default_rng(8).integers(0, 255, (HEIGHT // 8, WIDTH // 4, 3), np.uint8)
    pattern = cv2.resize(pattern, (2 * WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        views = pan_and_zoom(portrait, face, HEIGHT, RATE * SECONDS)
        for number, view in enumerate(views):
            left = 2 * number
            image = np.ascontiguousarray(pattern[:, left : left + WIDTH])
            image[:, :HEIGHT] = view
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def measure(repeats: int, frames: int) -> Iterator[Row]:
    """All rows, each when it is known."""
    engine = Engine()
    engine.warm_up()
    cage_process.warm()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_clip(path)

        def read(opened: Callable[..., Any], count: int | None) -> None:
            with opened(path) as reader:
                for _ in reader.sample(count):
                    pass
                reader.describe()

        def scan(opened: Callable[..., Any]) -> None:
            with mock.patch.object(analysis, "open_clip", opened):
                analyse(path, Settings(frames), engine)

        def first(opened: Callable[..., Any]) -> None:
            with opened(path):
                pass

        yield in_turns("open", first, repeats)
        yield in_turns(f"open and decode {frames} frames", lambda o: read(o, frames), repeats)
        yield in_turns("open and decode every frame", lambda o: read(o, None), repeats)
        yield in_turns(f"scan of {frames} frames", scan, repeats)


def in_turns(name: str, act: Callable[[Callable[..., Any]], None], repeats: int) -> Row:
    """Both ways in turns, so that what else the machine does meets both."""
    times: dict[Callable[..., Any], list[float]] = {ClipReader: [], Measured: []}
    work: dict[Callable[..., Any], list[float]] = {ClipReader: [], Measured: []}
    for opened in times:
        act(opened)  # warm
    for _ in range(repeats):
        for opened, taken in times.items():
            Measured.work = 0.0
            started, computed = time.perf_counter(), time.process_time()
            act(opened)
            taken.append(time.perf_counter() - started)
            work[opened].append(time.process_time() - computed + Measured.work)
    medians = [statistics.median(taken) for taken in (*times.values(), *work.values())]
    return Row(name, *medians)


def show(rows: Iterable[Row]) -> None:
    """Print the table, each row as soon as it is known."""
    print(f"{'':34}{'plain':>10}{'caged':>10}{'ratio':>7}{'computing':>15}{'':10}{'ratio':>7}")
    for row in rows:
        times = f"{row.plain * 1000:7.0f} ms{row.caged * 1000:7.0f} ms{row.ratio:7.2f}"
        work = f"{row.plain_work * 1000:12.0f} ms{row.caged_work * 1000:7.0f} ms"
        print(f"{row.name:34}{times}{work}{row.work_ratio:7.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--frames", type=int, default=32)
    arguments = parser.parse_args()
    print("holds: " + ", ".join(layer.name for layer in describe_cage() if layer.holds) + "\n")
    show(measure(arguments.repeats, arguments.frames))


if __name__ == "__main__":
    main()

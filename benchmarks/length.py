"""One, ten and sixty minutes of 1080p: time, and the memory of all processes at their peak.

    python -m benchmarks.length [--minutes 1,10,60]

Each length runs in a process of its own. The last rows compare ways to fetch 32 frames out of
the longest clip: skipping the groups of pictures that hold none, decoding only key frames
(other moments than asked for), and decoding everything.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import av

from benchmarks import clips
from benchmarks.record import Record, Row, finish
from detector.media.reader import ClipReader

_SCAN = """
import json, sys, threading, time
import psutil
from detector.analysis.engine import Engine
from detector.analysis.scan import scan
from detector.settings import Settings
engine = Engine(); engine.warm_up()
me, peak, over = psutil.Process(), [0], threading.Event()
def watch():
    while not over.wait(0.05):
        total = 0
        for process in [me, *me.children(recursive=True)]:
            try: total += process.memory_full_info().pss
            except psutil.Error: pass
        peak[0] = max(peak[0], total)
threading.Thread(target=watch, daemon=True).start()
started = time.perf_counter()
result = scan(sys.argv[1], Settings(), engine)
seconds = time.perf_counter() - started
over.set()
print(json.dumps({"seconds": seconds, "peak": peak[0]}))
"""


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", default="1,10,60")
    parser.add_argument("--out", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    minutes = [int(part) for part in options.minutes.split(",")]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        minute = clips.write(Path(folder) / "minute.mp4", 60)
        path = minute
        for count in minutes:
            path = clips.lengthen(minute, Path(folder) / f"{count}.mp4", count)
            found = json.loads(
                subprocess.run(
                    [sys.executable, "-c", _SCAN, str(path)],
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout
            )
            memory = found["peak"] / 2**20
            values = {
                "s": found["seconds"],
                "s a minute": found["seconds"] / count,
                "MiB at peak": memory,
                "MB of file": path.stat().st_size / 1e6,
            }
            rows.append(Row(f"{count} min", values, "within 1536 MiB", memory <= 1536))
        rows += _ways(path, minutes[-1])
    finish(Record("length", "Clips of 1080p, 32 frames", rows), options.out)


def _ways(path: Path, minutes: int) -> list[Row]:
    def skipping() -> None:
        with ClipReader(path) as reader:
            list(reader.sample(32))

    def key_frames() -> None:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.skip_frame = "NONKEY"
            kept = list(container.decode(stream))[:: max(minutes * 30 // 32, 1)]
            for frame in kept[:32]:
                frame.to_ndarray(format="rgb24")

    def everything() -> None:
        with av.open(str(path)) as container:
            container.streams.video[0].thread_type = "AUTO"
            for number, _ in enumerate(container.decode(video=0)):
                if number >= 1500:
                    break

    rows = []
    for name, act, share in (
        ("32 frames, skipping (ours)", skipping, 1.0),
        ("key frames only, other moments", key_frames, 1.0),
        ("every frame (1 min measured, scaled)", everything, float(minutes)),
    ):
        started = time.perf_counter()
        thread = threading.Thread(target=act)
        thread.start()
        thread.join()
        rows.append(Row(f"{minutes} min: {name}", {"s": (time.perf_counter() - started) * share}))
    return rows


if __name__ == "__main__":
    main()

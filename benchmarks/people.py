"""One, two, four and eight people at once: how long each waits, and what memory it takes.

    python -m benchmarks.people [--repeats 1]

Each sends the same ten seconds of 1080p. A fair share: with n people, each waits at most n times
as long as one alone.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks import clips
from benchmarks.record import Record, Row, arguments, finish
from detector.analysis.engine import Engine
from detector.jobs.queue import Jobs
from detector.settings import Settings


def memory() -> float:
    """MiB of this process and its children."""
    me, total = psutil.Process(), 0
    for process in [me, *me.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):  # a clip's process that has just ended
            total += process.memory_full_info().pss
    return total / 2**20


def main() -> None:
    """Run and print."""
    options = arguments(str(__doc__), 1)
    engine = Engine()
    engine.warm_up()
    jobs = Jobs(engine)
    rows: list[Row] = []
    alone = 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = clips.write(Path(folder) / "clip.mp4", 10)
        jobs.submit(path, "warm.mp4", Settings()).wait()
        for people in (1, 2, 4, 8):
            started = time.perf_counter()
            waiting = {
                n: jobs.submit(path, f"{n}.mp4", Settings(), owner=str(n)) for n in range(people)
            }
            ended: dict[int, float] = {}
            peak = 0.0
            while len(ended) < people:
                for number, job in waiting.items():
                    if job.finished and number not in ended:
                        assert job.status == "done", job.error
                        ended[number] = time.perf_counter() - started
                peak = max(peak, memory())
                time.sleep(0.02)
            for job in waiting.values():
                job.discard()
            alone = alone or max(ended.values())
            slowest = max(ended.values())
            values = {
                "s, first": min(ended.values()),
                "s, last": slowest,
                "clips a minute": 60 * people / slowest,
                "last / (n alone)": slowest / alone / people,
                "MiB at peak": peak,
            }
            fair = slowest <= 1.15 * people * alone
            rows.append(Row(f"{people} at once", values, "at most their share (+15 %)", fair))
    finish(Record("people", "People who analyse 10 s of 1080p at once", rows), options.out)


if __name__ == "__main__":
    main()

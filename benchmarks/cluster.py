"""A scan on Ray beside one process, and what a clip costs at each stage.

    python -m benchmarks.cluster [--repeats 16]

`repeats` is the number of clips: ten seconds of 1080p with one face, 32 frames each. Core-seconds
are those of all threads and of the process that decodes. The start of Ray and of its workers is
given apart: a long scan pays it once.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks import clips
from benchmarks.record import Record, Row, arguments, finish
from benchmarks.sandbox import Measured
from detector.analysis.engine import Engine
from detector.analysis.scan import scan
from detector.cluster import stages as cluster_stages
from detector.cluster.connection import cluster
from detector.cluster.plan import Plan
from detector.cluster.scan import ClusterProgress, scan_cluster
from detector.cluster.source import SourceClip, find_source
from detector.cluster.target import Target
from detector.limits import Limits
from detector.settings import Settings

TASKS = 500  # that do nothing, to see what a task costs
FILE = 64  # rows


def main() -> None:
    """Run and print."""
    options = arguments(str(__doc__), 16)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "clips").mkdir()
        first = clips.write(folder / "clips" / "000.mp4", 10)
        for number in range(1, options.repeats):
            os.link(first, folder / "clips" / f"{number:03}.mp4")
        source = find_source(str(folder / "clips"))
        rows = [*stages(source, folder), *whole(source, folder)]
    title = "Clips of 10 s of 1080p, one face, 32 frames, on Ray"
    finish(Record("cluster", title, rows), options.out)


def stages(source: tuple[SourceClip, ...], folder: Path) -> list[Row]:
    """Each stage alone, in this process."""
    plan = Plan(
        Settings(backend=_backend()), Limits(), "0" * 64, "v", "2031-05-04",
        Target.at(str(folder / "stages")),
    )  # fmt: skip
    scorer = cluster_stages.Score(plan)
    few = source[:6]
    with mock.patch.object(cluster_stages, "open_clip", Measured):
        cluster_stages.look_at(few[0], plan)  # loads what is loaded once
        looked, look = _work(lambda: [cluster_stages.look_at(clip, plan) for clip in few])
    tables = [next(cluster_stages.look(cluster_stages.to_table([clip]), plan)) for clip in few]
    scorer(tables[0])
    scored, score = _work(lambda: [scorer(table) for table in tables])
    one = scored[0]
    many = one.take(np.zeros(FILE, np.int64))
    started = time.perf_counter()
    _, write = _work(lambda: cluster_stages.write(many, plan))
    seconds = time.perf_counter() - started
    crops = sum(len(crops) for _, crops in looked) / len(few)
    size = sum(clip.bytes for clip in few) / len(few)
    return [
        Row("look: decode, find faces", {"core-s a clip": look / len(few)}),
        Row("score: both networks", {"core-s a clip": score / len(few)}),
        Row("write: conclude, Parquet", {"core-s a clip": write / FILE, "s a file": seconds}),
        Row("a clip", {"faces": crops, "MB of file": size / 1e6}),
    ]


def whole(source: tuple[SourceClip, ...], folder: Path) -> list[Row]:
    """All clips by one process and by Ray on all cores."""
    engine = Engine()
    engine.warm_up()
    scan(source[0].path, Settings(), engine)
    started = time.perf_counter()
    for clip in source:
        scan(clip.path, Settings(), engine)
    alone = (time.perf_counter() - started) / len(source)
    begun = time.perf_counter()
    with cluster("local"):
        connected = time.perf_counter()
        first: list[float] = []
        done: list[tuple[float, int]] = []

        def note(progress: ClusterProgress) -> None:
            moment = time.perf_counter()
            first.append(moment)
            done.append((moment, progress.done))

        scan_cluster(source, Target.at(str(folder / "ray")), Settings(), on_progress=note)
        ended = time.perf_counter()
        task = _task()
    # From the first written file on, all workers are there.
    start_moment, start_done = next(pair for pair in done if pair[1])
    rest = len(source) - start_done
    steady = (done[-1][0] - start_moment) / rest if rest else float("nan")
    return [
        Row("one process, all cores", {"s a clip": alone}),
        Row("Ray, once its workers are there",
            {"s a clip": steady, "overhead %": 100 * (steady / alone - 1)}),
        Row("Ray, start included",
            {"s a clip": (ended - begun) / len(source),
             "overhead %": 100 * ((ended - begun) / len(source) / alone - 1)}),
        Row("start of Ray", {"s": connected - begun}),
        Row("until the first row is written", {"s": start_moment - connected}),
        Row("a task of Ray Data that does nothing", {"ms a task": task * 1000}),
    ]  # fmt: skip


def _task() -> float:
    """Seconds a task: scheduler and workers on the same cores, so that the scheduler alone takes
    less."""
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    tables = [cluster_stages.to_table([SourceClip(str(number))]) for number in range(TASKS)]
    started = time.perf_counter()
    stream = ray.data.from_arrow(tables).map_batches(
        _nothing, batch_size=None, batch_format="pyarrow"
    )
    assert stream.materialize().count() == TASKS
    return (time.perf_counter() - started) / TASKS


def _nothing(table: object) -> object:
    return table


def _work(act: Callable[[], list]) -> tuple[list, float]:  # type: ignore[type-arg]
    """What an act gives, and the seconds of computing that it took, decoder included."""
    Measured.work = 0.0
    before = time.process_time()
    done = act()
    return done, time.process_time() - before + Measured.work


def _backend() -> str:
    from detector.models.backends import choose
    from detector.models.spec import read_ensemble

    return choose(read_ensemble())


if __name__ == "__main__":
    main()

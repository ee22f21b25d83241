"""The library at its size: 10,000 analyses and 1,000,000 face scores; each page within 0.3 s.

    python -m benchmarks.store [--url postgresql://...] [--analyses 10000] [--faces 100]

Without --url, SQLite in a temporary folder. A database named by --url must be empty; what the
benchmark puts there is removed again.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from detector.library.store import Library
from detector.library.types import FrameFilter, LibraryFilter
from detector.media.clip import Clip
from detector.result import (
    SCHEMA_VERSION,
    Analysis,
    BandThresholds,
    Finding,
    Model,
    Quality,
    Sampling,
    ScoredFace,
    ScoredFrame,
    Timings,
    Track,
)
from detector.wording import BAND_ORDER

LIMIT = 0.3  # seconds a page may take
REPEATS = 5


def analysis(number: int, faces: int) -> Analysis:
    """Return an analysis with `faces` scored faces, one a frame; all follows from `number`."""
    rng = random.Random(number)  # noqa: S311
    frames = []
    for index in range(faces):
        logit = rng.gauss(0, 1.5)
        face = ScoredFace(
            track=1 + index % 3,
            box=(10.0, 10.0, 110.0, 110.0),
            key_points=((1.0, 1.0),) * 6,
            detection_score=0.9,
            quality=Quality(100.0, rng.uniform(0, 900), rng.uniform(20, 230), rng.random() > 0.1),
            logits={"resnet50": logit + rng.gauss(0, 1), "xception": logit},
            logit=logit,
            score=0.5 + logit / 20,
        )
        frames.append(ScoredFrame(index, index / 25, (face,)))
    bands = BandThresholds(-0.2, 0.3, 1.3, False, "")
    models = tuple(
        Model(name, f"v{number % 3}", name * 8, 304, 0.5, 1.0, "openvino", "CPU", "f32")
        for name in ("resnet50", "xception")
    )
    band = rng.choice(BAND_ORDER)
    tracks = tuple(
        Track(id, 0.0, 4.0, 30, 30, 0.1, 0.5, band, (), 1.0) for id in range(1, 1 + number % 4)
    )
    day = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(hours=number)
    clip = Clip(
        name=f"clip {rng.randrange(10**6):06d} {rng.choice(['news', 'talk', 'phone'])}.mp4",
        sha256=f"{rng.getrandbits(256):064x}",
        bytes=rng.randrange(10**8),
        container="mov,mp4",
        codec="h264",
        width=1280,
        height=720,
        rotation=0,
        frame_rate=25.0,
        variable_frame_rate=False,
        frames=faces,
        duration=rng.uniform(1, 600),
        bits_per_pixel=0.1,
        has_audio=True,
        creation_time=None,
        encoder=None,
        damaged=0,
    )
    return Analysis(
        SCHEMA_VERSION,
        "0.1.0",
        day.isoformat(),
        clip,
        Sampling(faces, faces, "blazeface-full", 0.5, 1.15, 304),
        models,
        bands,
        tracks,
        tuple(frames),
        Finding(band, rng.gauss(0, 2), rng.random(), 1, (), ("",)),
        Timings(0.1, 0.1, 0.1, 0.3),
    )


@contextlib.contextmanager
def opened(url: str | None) -> Iterator[Library]:
    """Open an empty library at `url`, or in a temporary folder."""
    if url is None:
        with (
            tempfile.TemporaryDirectory() as folder,
            Library.open(Path(folder, "l.sqlite")) as library,
        ):
            yield library
    else:
        with Library.open(url) as library:
            if library.size().analyses:
                raise SystemExit("The database is not empty; name an empty one.")
            try:
                yield library
            finally:
                library.delete(library.ids())


def measure(name: str, act: Callable[[], object]) -> float:
    """Print and return the median seconds of `act`, which runs once before."""
    act()
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        act()
        times.append(time.perf_counter() - started)
    middle = statistics.median(times)
    print(f"{name:58}{middle * 1000:9.1f} ms{'' if middle <= LIMIT else '  over 300 ms'}")
    return middle


def main() -> None:
    """Fill a library, measure its pages and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url")
    parser.add_argument("--analyses", type=int, default=10_000)
    parser.add_argument("--faces", type=int, default=100)
    arguments = parser.parse_args()
    with opened(arguments.url) as library:
        print(f"{platform.processor() or platform.machine()}, {library.place.split(':')[0]}")
        started = time.perf_counter()
        for number in range(arguments.analyses):
            id = library.add(analysis(number, arguments.faces), tags=["odd"] * (number % 2))
        spent = time.perf_counter() - started
        size = library.size()
        print(
            f"{size.analyses:,} analyses, {size.face_scores:,} face scores, "
            f"{size.bytes / 2**20:.0f} MiB; kept in {spent / size.analyses * 1000:.1f} ms each\n"
        )
        everything = LibraryFilter()
        narrow = LibraryFilter(
            text="news",
            bands=["some", "strong"],
            length=(60, 300),
            tags=["odd"],
            dates=(datetime.date(2030, 3, 1), None),
            model_versions=library.model_versions()[:2],
        )
        required = [
            measure("library: first page, newest first", library.search),
            *(
                measure(
                    f"library: filtered six ways, by {sort}, page 3",
                    lambda sort=sort: library.search(narrow, sort=sort, page=3),
                )
                for sort in ("-created", "name", "-score", "duration", "band")
            ),
            measure(
                "library: last page of all, by name",
                lambda: library.search(everything, sort="name", page=10**6),
            ),
            measure("library: find by clip and settings", lambda: library.find("0" * 64, "0" * 64)),
        ]
        one = FrameFilter(analyses=[id])
        hundred = FrameFilter(analyses=range(id - 99, id + 1), disagree=True, score=(0.5, None))
        measure("frames: of one analysis, by score", lambda: library.frames(one, sort="-score"))
        measure("frames: of one, by a network", lambda: library.frames(one, sort="-xception"))
        measure("frames: disagreeing in 100 analyses", lambda: library.frames(hundred))
        measure("frames: strongest of the library", lambda: library.frames(sort="-score"))
        measure(
            "frames: library's weakest, usable, over 0.6",
            lambda: library.frames(FrameFilter(score=(0.6, None), usable=True), sort="score"),
        )
        measure("histogram: scores of 100 analyses", lambda: library.scores(hundred))
        measure("histogram: scores of the library", library.scores)
        measure("open one analysis", lambda: library.get(id))
        print(f"\nslowest required page: {max(required) * 1000:.0f} ms (limit {LIMIT * 1000:.0f})")


if __name__ == "__main__":
    main()

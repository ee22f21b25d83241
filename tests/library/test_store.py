"""The library, on SQLite and on a real PostgreSQL: the same cases for both."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import math
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from detector import files
from detector.errors import LibraryError
from detector.files import sha256_of
from detector.library import database, schema, sql, store
from detector.library.store import Library
from detector.library.types import FRAME_SORTS, LIBRARY_SORTS, FrameFilter, LibraryFilter
from detector.pictures import thumbnails
from detector.result import SCHEMA_VERSION, fingerprint_of
from tests.helpers.examples import Drawn, example
from tests.helpers.processes import ROOT

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def library(database_url: str) -> Iterator[Library]:
    with Library.open(database_url) as opened:
        yield opened


def rows(url: str) -> dict[str, int]:
    """Rows in every table, counted behind the store's back."""
    engine = sa.create_engine(database.database_url(url))
    with engine.connect() as connection:
        counts = {
            table.name: connection.execute(
                sa.select(sa.func.count()).select_from(table)
            ).scalar_one()
            for table in schema.metadata.sorted_tables
        }
    engine.dispose()
    return counts


EMPTY = {table.name: 0 for table in schema.metadata.sorted_tables}


# --- in and out -----------------------------------------------------------------------------

ANALYSES = {
    "two faces": example(),
    "no face": example(faces=0),
    "one frame": example(frames=1, faces=1, duration=0.0),
    "many frames": example(frames=40, faces=3, seed=3),
    "name in many scripts": example("видео ‘片’ 😀 \\ % _ \" '.mp4"),
    "least and greatest numbers": dataclasses.replace(
        example(), timings=dataclasses.replace(example().timings, total=5e-324, score=1.7e308)
    ),
}


@pytest.mark.parametrize("analysis", ANALYSES.values(), ids=ANALYSES)
def test_what_is_loaded_equals_what_was_saved(library: Library, analysis) -> None:
    id = library.add(analysis, Drawn())
    assert library.get(id) == analysis
    assert library.get(id).to_json() == analysis.to_json()


def test_a_library_keeps_its_content_when_it_is_opened_again(database_url: str) -> None:
    with Library.open(database_url) as first:
        id = first.add(example())
    with Library.open(database_url) as second:
        assert second.get(id) == example()


def test_the_same_analysis_is_kept_once(library: Library) -> None:
    first = library.add(example(), tags=["a"])
    assert library.add(example()) == first
    assert library.add(example(seed=1)) != first
    assert library.size().analyses == 2


def test_numbers_of_deleted_analyses_are_not_given_again(library: Library) -> None:
    first = library.add(example())
    library.delete([first])
    assert library.add(example(seed=1)) > first


def test_an_analysis_that_would_change_is_refused(library: Library, database_url: str) -> None:
    good = example()
    bad = dataclasses.replace(good, timings=dataclasses.replace(good.timings, total=math.nan))
    with pytest.raises(LibraryError, match="cannot be kept"):
        library.add(bad)
    assert rows(database_url) == EMPTY


def test_summary_says_what_the_analysis_says(library: Library) -> None:
    analysis = example("A clip.mp4", level=3.0)
    id = library.add(analysis, tags=["first", " two  words ", "first"], note="Seen on air")
    summary = library.summary(id)
    assert summary.name == "A clip.mp4"
    assert summary.sha256 == analysis.clip.sha256
    assert summary.fingerprint == fingerprint_of(analysis)
    assert summary.created == datetime.datetime(2031, 5, 4, 10, tzinfo=datetime.UTC)
    assert (summary.band, summary.score) == ("strong", analysis.finding.score)
    assert (summary.faces, summary.frames) == (2, 6)
    assert summary.model_version == "resnet50 v0, xception v0"
    assert summary.tags == ("first", "two words")
    assert summary.note == "Seen on air"
    assert (summary.source, summary.clip_kept) == (None, False)
    strongest = max(
        (face.logit, frame.index) for frame in analysis.frames for face in frame.faces
         if face.track == analysis.finding.track
    )  # fmt: skip
    assert summary.cover == (strongest[1], analysis.finding.track)


def test_find_by_clip_models_and_settings(library: Library) -> None:
    old = library.add(example(created="2031-01-01T00:00:00+00:00"))
    new = library.add(example(created="2031-01-02T00:00:00+00:00"))
    other = library.add(example(version="v1"))
    analysis = example()
    found = library.find(analysis.clip.sha256, fingerprint_of(analysis))
    assert found is not None
    assert (old, found.id) == (old, new)
    changed = library.find(analysis.clip.sha256, fingerprint_of(example(version="v1")))
    assert changed is not None
    assert changed.id == other
    assert library.find("0" * 64, fingerprint_of(analysis)) is None


CHANGES = {
    "weights": lambda a: example(version="v1"),
    "frames": lambda a: dataclasses.replace(
        a, sampling=dataclasses.replace(a.sampling, requested=None)
    ),
    "face detector": lambda a: dataclasses.replace(
        a, sampling=dataclasses.replace(a.sampling, face_detector="mediapipe-full")
    ),
    "precision": lambda a: dataclasses.replace(
        a, models=tuple(dataclasses.replace(model, precision="int8") for model in a.models)
    ),
    "bands": lambda a: dataclasses.replace(a, bands=dataclasses.replace(a.bands, strong=2.0)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_fingerprint_tells_models_and_settings_apart(change) -> None:
    assert fingerprint_of(change(example())) != fingerprint_of(example())


def test_fingerprint_leaves_out_the_machine_and_the_clip() -> None:
    other = example(seed=7)
    moved = tuple(
        dataclasses.replace(model, device="Another CPU", backend="torch") for model in other.models
    )
    assert fingerprint_of(dataclasses.replace(other, models=moved)) == fingerprint_of(example())


# --- searching ------------------------------------------------------------------------------


@pytest.fixture
def six(library: Library) -> tuple[Library, dict[str, int]]:
    ids = {}
    for number, (name, level, faces, duration, day, version) in enumerate(
        [
            ("Évening News.mp4", 4.0, 2, 10.0, "01", "v0"),
            ("interview 100%.mov", 0.0, 1, 60.0, "02", "v0"),
            ("interview_raw.mov", -4.0, 3, 600.0, "03", "v0"),
            ("cars.mp4", 0.0, 0, 5.0, "04", "v0"),
            ("interview 100%.mov", 0.8, 1, 60.0, "05", "v1"),
            ("ZEBRA.mp4", -4.0, 1, 7.0, "06", "v1"),
        ]
    ):
        ids[day] = library.add(
            example(name, seed=number, level=level, faces=faces, duration=duration, frames=9,
                    created=f"2031-05-{day}T23:30:00+00:00", version=version),
            tags=["news"] if number < 2 else [], note="Case 7, straße" if number == 2 else "",
        )  # fmt: skip
    library.tag([ids["01"]], "air")
    return library, ids


DAY = datetime.date
SEARCHES = {
    "everything": (LibraryFilter(), "01 02 03 04 05 06"),
    "a word, other case and accent": (LibraryFilter(text="éVENING"), "01"),
    "all words": (LibraryFilter(text="interview 100%"), "02 05"),
    "percent is no wildcard": (LibraryFilter(text="0%.mov"), "02 05"),
    "underscore is no wildcard": (LibraryFilter(text="interview_"), "03"),
    "in a note": (LibraryFilter(text="STRASSE"), "03"),
    "in a tag": (LibraryFilter(text="air"), "01"),
    "part of a hash": (LibraryFilter(text=example("cars.mp4", seed=3).clip.sha256[:20]), "04"),
    "nothing": (LibraryFilter(text="giraffe"), ""),
    "strong": (LibraryFilter(bands=["strong"]), "01"),
    "without a band": (LibraryFilter(bands=["none"]), "04"),
    "two bands": (LibraryFilter(bands=["little", "none"]), "03 04 06"),
    "from a day": (LibraryFilter(dates=(DAY(2031, 5, 5), None)), "05 06"),
    "to the end of a day": (LibraryFilter(dates=(None, DAY(2031, 5, 2))), "01 02"),
    "within hours": (
        LibraryFilter(
            dates=(
                datetime.datetime(2031, 5, 2, 23, 30, tzinfo=datetime.UTC),
                datetime.datetime(2031, 5, 3, 23, 29, tzinfo=datetime.UTC),
            )
        ),
        "02",
    ),
    "length": (LibraryFilter(length=(7.0, 60.0)), "01 02 05 06"),
    "faces": (LibraryFilter(faces=(2, None)), "01 03"),
    "no faces": (LibraryFilter(faces=(None, 0)), "04"),
    "model": (LibraryFilter(model_versions=["resnet50 v1, xception v1"]), "05 06"),
    "tag": (LibraryFilter(tags=["news"]), "01 02"),
    "two tags": (LibraryFilter(tags=["news", "air"]), "01"),
    "clip": (LibraryFilter(sha256=example("ZEBRA.mp4", seed=5).clip.sha256.upper()), "06"),
    "several at once": (LibraryFilter(text="interview", faces=(1, 1), length=(50, 70)), "02 05"),
}


@pytest.mark.parametrize(("filter", "expected"), SEARCHES.values(), ids=SEARCHES)
def test_search_finds(six, filter: LibraryFilter, expected: str) -> None:
    library, ids = six
    wanted = [ids[day] for day in expected.split()]
    page = library.search(filter, sort="created")
    assert [item.id for item in page.items] == wanted
    assert page.total == len(wanted)
    assert library.ids(filter) == tuple(sorted(wanted))


def test_search_sorts(six) -> None:
    library, _ = six
    everything = library.search().items
    assert [item.name for item in library.search(sort="name").items][-1] == "Évening News.mp4"
    assert next(item.name for item in library.search(sort="name").items) == "cars.mp4"
    for sort in LIBRARY_SORTS:
        up = library.search(sort=sort).items
        down = library.search(sort="-" + sort).items
        assert {item.id for item in up} == {item.id for item in down}
        assert {item.id for item in up} == {item.id for item in everything}
        if sort not in ("name", "band"):
            values = [getattr(item, sort) for item in up if getattr(item, sort) is not None]
            assert values == sorted(values)
            values = [getattr(item, sort) for item in down if getattr(item, sort) is not None]
            assert values == sorted(values, reverse=True)
    assert library.search(sort="score").items[-1].score is None
    assert library.search(sort="-score").items[-1].score is None
    with pytest.raises(LibraryError, match="no order “colour”"):
        library.search(sort="colour")


def test_pages_hold_everything_once(six) -> None:
    library, ids = six
    pages = [library.search(sort="name", page=number, page_size=4) for number in (1, 2)]
    assert [len(page.items) for page in pages] == [4, 2]
    assert {item.id for page in pages for item in page.items} == set(ids.values())
    assert (pages[0].total, pages[0].pages) == (6, 2)
    assert library.search(page=99, page_size=4).number == 2
    assert library.search(page=0).number == 1
    nothing = library.search(LibraryFilter(text="giraffe"), page=5)
    assert (nothing.items, nothing.total, nothing.pages, nothing.number) == ((), 0, 1, 1)


def test_choices_for_filters(six) -> None:
    library, _ = six
    assert library.tags() == {"air": 1, "news": 2}
    assert library.model_versions() == ("resnet50 v0, xception v0", "resnet50 v1, xception v1")


# --- frames ---------------------------------------------------------------------------------


@pytest.fixture
def two(library: Library) -> tuple[Library, int, int]:
    one = library.add(example("one.mp4", seed=1, frames=12, duration=12.0))
    other = library.add(example("other.mp4", seed=2, frames=5, faces=1))
    return library, one, other


def test_frames_repeat_the_analysis(two) -> None:
    library, one, _ = two
    analysis = example("one.mp4", seed=1, frames=12, duration=12.0)
    page = library.frames(FrameFilter(analyses=[one]))
    expected = [(frame, face) for frame in analysis.frames for face in frame.faces]
    assert page.total == len(expected) + 1  # and the last frame, without a face
    for row, (frame, face) in zip(page.items, expected, strict=False):
        assert (row.analysis, row.clip, row.index, row.time) == (
            one, "one.mp4", frame.index, frame.time,
        )  # fmt: skip
        assert (row.track, row.score, row.logit) == (face.track, face.score, face.logit)
        assert row.logits == face.logits
        assert row.box == face.box
        quality = face.quality
        assert (row.size, row.sharpness, row.brightness, row.usable) == (
            quality.size, quality.sharpness, quality.brightness, quality.usable,
        )  # fmt: skip
        assert row.detection_score == face.detection_score
        resnet, xception = face.logits["resnet50"] / 1.5, face.logits["xception"]
        assert row.spread == pytest.approx(abs(resnet - xception))
        assert row.disagree == ((resnet > 0) != (xception > 0))
    empty = page.items[-1]
    assert (empty.index, empty.track, empty.score, empty.box, empty.logits) == (
        110, None, None, None, None,
    )  # fmt: skip


FRAME_FILTERS = {
    "track": (FrameFilter(tracks=[2]), lambda row: row.track == 2),
    "score": (FrameFilter(score=(0.4, 0.6)), lambda row: row.score and 0.4 <= row.score <= 0.6),
    "time": (FrameFilter(time=(2.0, 5.0)), lambda row: 2 <= row.time <= 5),
    "size": (FrameFilter(size=(60, None)), lambda row: row.size and row.size >= 60),
    "sharpness": (
        FrameFilter(sharpness=(None, 200)), lambda row: row.sharpness and row.sharpness <= 200,
    ),
    "brightness": (
        FrameFilter(brightness=(80, 120)), lambda row: row.size and 80 <= row.brightness <= 120,
    ),
    "usable": (FrameFilter(usable=True), lambda row: row.usable is True),
    "not usable": (FrameFilter(usable=False), lambda row: row.usable is False),
    "networks disagree": (FrameFilter(disagree=True), lambda row: row.disagree),
    "with faces": (FrameFilter(faces=True), lambda row: row.track is not None),
    "without faces": (FrameFilter(faces=False), lambda row: row.track is None),
    "frames": (FrameFilter(frames=[20, 40]), lambda row: row.index in (20, 40)),
    "two at once": (
        FrameFilter(disagree=True, usable=True), lambda row: row.disagree and row.usable,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("filter", "holds"), FRAME_FILTERS.values(), ids=FRAME_FILTERS)
def test_frames_are_filtered(two, filter: FrameFilter, holds) -> None:
    library, one, other = two
    everything = library.frames().items
    expected = [row for row in everything if holds(row)]
    assert 0 < len(expected) < len(everything)
    assert library.frames(filter).items == tuple(expected)
    assert tuple(library.every_frame(filter)) == tuple(expected)
    for id in (one, other):
        narrowed = dataclasses.replace(filter, analyses=[id])
        assert library.frames(narrowed).items == tuple(r for r in expected if r.analysis == id)


@pytest.mark.parametrize("sort", [*FRAME_SORTS[1:], "resnet50", "xception"])
def test_frames_are_sorted(two, sort: str) -> None:
    library, _, _ = two
    everything = library.frames().items

    def value(row):
        if sort in ("resnet50", "xception"):
            return None if row.logits is None else row.logits[sort]
        return getattr(row, sort)

    for direction in (1, -1):
        order = library.frames(sort=sort if direction == 1 else "-" + sort).items
        assert set(map(id_of, order)) == set(map(id_of, everything))
        values = [value(row) for row in order]
        known = [v for v in values if v is not None]
        assert known == sorted(known, reverse=direction == -1)
        assert values[: len(known)] == known  # what has no score stays last


def id_of(row) -> tuple:
    return row.analysis, row.index, row.track


def test_frames_in_pages_and_unknown_orders(two) -> None:
    library, _, _ = two
    everything = library.frames().items
    pages = [library.frames(sort="-order", page=n, page_size=7).items for n in range(1, 6)]
    assert [id_of(row) for page in pages for row in page][: len(everything)] == [
        id_of(row) for row in reversed(everything)
    ]
    for sort in ("nothing of; the kind", "--", ""):
        with pytest.raises(LibraryError, match="no order"):
            library.frames(sort=sort)


def test_scores_for_histograms(two) -> None:
    library, one, _ = two
    expected = [row.score for row in library.frames(FrameFilter(faces=True)).items]
    assert sorted(library.scores()) == sorted(expected)
    assert len(library.scores(FrameFilter(analyses=[one], tracks=[1]))) == 11
    assert library.scores(FrameFilter(analyses=[])).shape == (0,)


def test_a_selection_larger_than_any_limit(two) -> None:
    library, one, _ = two
    far = [one, *range(10_000, 90_000, 2)]
    assert library.frames(FrameFilter(analyses=far)).total == 23


# --- pictures -------------------------------------------------------------------------------


def test_pictures_are_small_and_found_again(library: Library) -> None:
    id = library.add(example(), Drawn())
    bare = library.add(example(seed=1))
    face = library.thumbnail(id, 0, 2)
    preview = library.thumbnail(id, 50)
    cover = library.thumbnail(id)
    assert face is not None
    assert preview is not None
    assert face[:3] == preview[:3] == b"\xff\xd8\xff"
    summary = library.summary(id)
    assert summary.cover is not None
    assert cover == library.thumbnail(id, *summary.cover)
    assert library.thumbnail(id, 999) is None
    assert library.thumbnail(bare) is None
    assert library.thumbnail(12345) is None
    pictures = library.pictures(id)
    kept = pictures.face(0, 2)
    assert kept is not None
    assert kept.shape == (128, 128, 3)
    import cv2

    drawn = cv2.resize(Drawn().face(0, 2), (128, 128), interpolation=cv2.INTER_AREA)
    assert np.abs(kept.astype(int) - drawn).mean() < 12  # the same picture, RGB in both
    assert pictures.frame(50) == preview
    assert pictures.face_picture(0, 2) == face
    assert pictures.has_face(0, 2)
    assert not pictures.has_face(0, 9)
    assert library.pictured(id) >= {(0, 0), (0, 1), (0, 2), (50, 0)}
    assert library.pictured(bare) == frozenset()
    assert pictures.face(0, 9) is None
    keys = [(id, 0, 1), (id, 0, 2), (id, 10, 0), (bare, 0, 1)]
    assert set(library.thumbnails(keys)) == set(keys[:3])


def test_of_a_long_analysis_the_telling_pictures_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(thumbnails, "MOST_FACES", 10)
    monkeypatch.setattr(thumbnails, "MOST_PREVIEWS", 8)
    analysis = example(frames=60, faces=1)
    kept = thumbnails.pictures_of(analysis, Drawn())
    faces = [key for key in kept if key[1]]
    assert (len(faces), len(kept) - len(faces)) == (10, 8)
    strongest = sorted(
        (face.logit, frame.index) for frame in analysis.frames for face in frame.faces
    )[-5:]
    assert {index for _, index in strongest} <= {index for index, _ in faces}
    assert {(0, 1), (580, 1)} <= set(faces)  # from the first to the last


# --- tags, notes, clips ---------------------------------------------------------------------


def test_tags_and_notes_change_and_are_found(library: Library) -> None:
    a, b = library.add(example()), library.add(example(seed=1))
    library.tag([a, b], "desk", "urgent")
    library.untag([b], "urgent")
    assert library.summary(a).tags == ("desk", "urgent")
    assert library.summary(b).tags == ("desk",)
    library.set_tags([a], ["x" * 200, "nul\0byte"])
    assert library.summary(a).tags == ("nulbyte", "x" * 80)
    assert library.ids(LibraryFilter(text="urgent")) == ()
    library.set_note(b, "From \ud800 a caller\0")
    assert library.summary(b).note == "From ? a caller"
    assert library.ids(LibraryFilter(text="CALLER")) == (b,)
    for act in (
        lambda: library.tag([a, 999], "no"),
        lambda: library.set_note(999, "no"),
        lambda: library.get(999),
        lambda: library.summary(999),
    ):
        with pytest.raises(LibraryError, match="There is no analysis 999"):
            act()
    assert library.ids(LibraryFilter(tags=["no"])) == ()  # nor half of it on the other


def of_file(path: Path, seed: int = 0):
    data = path.read_bytes()
    analysis = example(path.name, seed=seed)
    clip = dataclasses.replace(
        analysis.clip, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data)
    )
    return dataclasses.replace(analysis, clip=clip)


def keep_as_before(library: Library, id: int, path: Path) -> Path:
    """Keep a clip's file beside the library, as versions before 0.2 did where they were asked."""
    kept = library._clips / (sha256_of(path) + path.suffix.lower())
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(path.read_bytes())
    table = schema.analysis
    with database.writing(library.engine) as connection:
        connection.execute(sa.update(table).where(table.c.id == id).values(clip_file=kept.name))
    return kept


def test_a_clip_is_found_where_it_lay_while_it_is_that_clip(
    library: Library, tmp_path: Path
) -> None:
    path = tmp_path / "Clip.MP4"
    path.write_bytes(b"the very bytes" * 100)
    id = library.add(of_file(path), source=path)
    assert library.clip(id) == path
    path.write_bytes(b"other bytes now")
    assert library.clip(id) is None


def test_clips_that_earlier_versions_kept_are_found_and_deleted(
    library: Library, tmp_path: Path
) -> None:
    path = tmp_path / "Clip.MP4"
    path.write_bytes(b"the very bytes" * 100)
    first, second = library.add(of_file(path, seed=1)), library.add(of_file(path, seed=2))
    kept = keep_as_before(library, first, path)
    assert keep_as_before(library, second, path) == kept
    path.unlink()
    assert library.clip(first) == kept
    assert library.size().bytes > 1400
    library.delete([first])
    assert library.clip(second) == kept
    library.delete([second])
    assert not kept.exists()
    assert list(kept.parent.iterdir()) == []


# --- deleting -------------------------------------------------------------------------------


def test_delete_removes_everything(library: Library, database_url: str) -> None:
    a = library.add(example(), Drawn(), tags=["x"])
    b = library.add(example(seed=1), Drawn(), tags=["x"])
    before = rows(database_url)
    assert library.delete([a, 12345, a]) == 1
    after = rows(database_url)
    assert after == {name: count // 2 for name, count in before.items()}
    assert library.thumbnail(a, 0, 1) is None
    assert library.get(b) == example(seed=1)
    assert library.delete([b]) == 1
    assert rows(database_url) == EMPTY
    assert library.delete([]) == 0


def test_deleted_faces_are_gone_from_the_disk_too(tmp_path: Path) -> None:
    path = tmp_path / "library.sqlite"
    with Library.open(path) as library:
        id = library.add(example("Very-Particular-Name.mp4", frames=30), Drawn())
        face = library.thumbnail(id)
        assert face is not None
        full = sum(file.stat().st_size for file in tmp_path.glob("library*"))

        def on_disk(needle: bytes) -> bool:
            return any(needle in file.read_bytes() for file in tmp_path.glob("library*"))

        assert on_disk(face[-400:-100])
        assert on_disk(b"Very-Particular-Name")
        library.delete([id])
        assert not on_disk(face[-400:-100])
        assert not on_disk(b"Very-Particular-Name")
        assert path.stat().st_size < full / 2


# --- many at once, and crashes --------------------------------------------------------------


def _write(url: str, worker: int, count: int) -> None:
    with Library.open(url) as library:
        for number in range(count):
            library.add(example(seed=1000 * worker + number), Drawn(), tags=[f"worker {worker}"])


def test_writers_in_several_processes(database_url: str) -> None:
    # Nobody has made the database yet: all of them try.
    workers = [SPAWN.Process(target=_write, args=(database_url, n, 6)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    with Library.open(database_url) as library:
        ids = library.ids()
        assert len(ids) == 18
        assert library.tags() == {f"worker {n}": 6 for n in range(3)}
        assert {library.get(id).clip.bytes - 100_000 for id in ids} == {
            1000 * worker + number for worker in range(3) for number in range(6)
        }
        assert library.size().face_scores == 18 * 11


def test_threads_share_one_store(library: Library) -> None:
    errors: list[BaseException] = []
    same = example(seed=99)
    kept = []

    def work(worker: int) -> None:
        try:
            for number in range(5):
                library.add(example(seed=100 * worker + number), tags=["t"])
                kept.append(library.add(same))  # all of them the same one
                library.search(sort="-score")
                library.tag([kept[-1]], f"t{worker}")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(set(kept)) == 1
    assert library.size().analyses == 21
    assert library.summary(kept[0]).tags == ("t0", "t1", "t2", "t3")


def _die_between_writes(url: str) -> None:
    insert, calls = store._insert, []

    def deadly(connection, table, rows):
        insert(connection, table, rows)
        calls.append(table.name)
        if len(calls) == 2:  # scores and pictures are written, tags are not
            os.kill(os.getpid(), signal.SIGKILL)

    store._insert = deadly
    Library.open(url).add(example(seed=5), Drawn(), tags=["x"])


def test_a_crash_between_two_writes_leaves_nothing(database_url: str) -> None:
    with Library.open(database_url) as library:
        kept = library.add(example(), Drawn(), tags=["x"])
        before = rows(database_url)
        worker = SPAWN.Process(target=_die_between_writes, args=(database_url,))
        worker.start()
        worker.join(60)
        assert worker.exitcode == -signal.SIGKILL
        assert rows(database_url) == before
        assert library.get(kept) == example()
        assert library.add(example(seed=5)) > kept  # and the library still takes more


# --- what the disk and the server refuse ----------------------------------------------------


def test_full_disk_on_sqlite(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/library.sqlite"
    with Library.open(url) as library:
        id = library.add(example(), Drawn())
        before = rows(url)
        # SQLite's own limit on the file raises SQLITE_FULL, as a full disk does.
        pages = sa.event.listens_for(library._engine, "connect")
        pages(lambda raw, _: raw.execute("PRAGMA max_page_count=60"))
        library._engine.dispose()
        with pytest.raises(LibraryError, match="There is no room left") as caught:
            library.add(example(seed=1, frames=200, faces=3), Drawn())
        assert "\n" not in str(caught.value)
        assert rows(url) == before
        assert library.get(id) == example()
        assert library.delete([id]) == 1  # which is what the message advises


def test_full_disk_on_a_real_small_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:  # only root may mount: then a limit on the file's size has to do
        code = (
            "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
            "resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000)); "
        )
    else:
        code = "import sys; "
    try:
        done = subprocess.run(
            [sys.executable, "-c", code + FILL, str(disk / "library.sqlite")],
            check=False, capture_output=True, text=True, cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    finally:
        if not mounted.returncode:
            subprocess.run(["umount", str(disk)], check=True)
    assert done.returncode == 0, done.stderr
    kept, counted, sentence = done.stdout.strip().splitlines()
    assert kept == counted
    assert int(kept) > 0
    assert "room left" in sentence


FILL = """
import pathlib
from tests.helpers.examples import Drawn, example
from detector.errors import LibraryError
from detector.library.store import Library
path = pathlib.Path(sys.argv[1])
library, kept = Library.open(path), 0
try:
    while True:
        library.add(example(seed=kept, frames=30), Drawn())
        kept += 1
except LibraryError as error:
    sentence = str(error)
print(kept)
print(sum(library.get(id).clip.bytes >= 0 for id in library.ids()))
print(sentence)
"""

REFUSALS = {
    "full disk": ("53100", "There is no room left"),
    "read-only server": ("25006", "may only be read"),
    "no right to write": ("42501", "refuses this user"),
    "server stops": ("57P01", "cannot be reached"),
}


@pytest.mark.postgresql
@pytest.mark.parametrize(("state", "sentence"), REFUSALS.values(), ids=REFUSALS)
def test_postgresql_refuses_in_the_middle(postgresql_url: str, state: str, sentence: str) -> None:
    with Library.open(postgresql_url) as library:
        library.add(example())
        before = rows(postgresql_url)
        with library._engine.connect() as connection, connection.begin():
            connection.exec_driver_sql(
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                f"RAISE EXCEPTION 'refused' USING ERRCODE = '{state}'; END $$"
            )
            connection.exec_driver_sql(
                "CREATE TRIGGER refuse BEFORE INSERT ON thumbnail EXECUTE FUNCTION refuse()"
            )
        with pytest.raises(LibraryError, match=sentence):
            library.add(example(seed=1), Drawn())
        assert rows(postgresql_url) == before


@pytest.mark.postgresql
def test_postgresql_that_may_only_be_read(postgresql_url: str) -> None:
    Library.open(postgresql_url).close()
    with pytest.raises(LibraryError, match="may only be read"):
        Library.open(postgresql_url + "&options=-c%20default_transaction_read_only=on")


@pytest.mark.postgresql
def test_postgresql_without_that_database_or_user(postgresql_url: str) -> None:
    with pytest.raises(LibraryError, match="cannot be reached"):
        Library.open(postgresql_url.replace("/postgres?", "/never_made?"))
    with pytest.raises(LibraryError, match="refuses this user"):
        Library.open(postgresql_url.replace("veriframe@", "stranger:secret@"))


READ_ONLY = """
import os, sys
from tests.helpers.examples import example
from detector.errors import LibraryError
from detector.library.store import Library
import sqlite3.dbapi2, sqlalchemy.dialects.sqlite.pysqlite
from pathlib import Path
example().to_json()
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
try:
    Library.open(Path(sys.argv[1]))
except LibraryError as error:
    print(error)
"""


@pytest.mark.parametrize("there", [False, True], ids=["new library", "existing library"])
def test_read_only_folder(tmp_path_factory: pytest.TempPathFactory, there: bool) -> None:
    import shutil
    import tempfile

    outer = Path(tempfile.mkdtemp(prefix="veriframe-read-only-"))
    folder = outer / "data"
    folder.mkdir()
    path = folder / "library.sqlite"
    if there:
        Library.open(path).close()
    before = sorted(file.name for file in folder.iterdir())
    outer.chmod(0o755)
    folder.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, str(path)], check=False, capture_output=True,
            text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert sorted(file.name for file in folder.iterdir()) == before
    finally:
        folder.chmod(0o755)
        shutil.rmtree(outer)
    assert "may only be read" in done.stdout, done.stdout + done.stderr
    assert len(done.stdout.strip().splitlines()) == 1


# --- databases that are not ours ------------------------------------------------------------


def _foreign(url: str) -> None:
    engine = sa.create_engine(database.database_url(url))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.exec_driver_sql("CREATE TABLE trials (id INTEGER)")
    engine.dispose()


def _newer(url: str) -> None:
    Library.open(url).close()
    engine = sa.create_engine(database.database_url(url))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE veriframe_schema SET version_num = '0999'")
    engine.dispose()


STRANGERS = {"foreign": (_foreign, "another program"), "newer": (_newer, "update Veriframe")}


@pytest.mark.parametrize(("make", "sentence"), STRANGERS.values(), ids=STRANGERS)
def test_a_strange_database_is_left_alone(database_url: str, make, sentence: str) -> None:
    make(database_url)
    engine = sa.create_engine(database.database_url(database_url))
    before = sorted(sa.inspect(engine).get_table_names())
    with pytest.raises(LibraryError, match=sentence) as caught:
        Library.open(database_url)
    assert "\n" not in str(caught.value)
    assert sorted(sa.inspect(engine).get_table_names()) == before
    engine.dispose()


def _damaged_files(path: Path) -> dict[str, bytes]:
    with Library.open(path) as library:
        for seed in range(12):
            library.add(example(seed=seed), Drawn())
    whole = path.read_bytes()
    path.unlink()
    return {
        "text": b"This is no database, but a letter.\n" * 100,
        "first page overwritten": whole[:100] + os.urandom(4096) + whole[4196:],
        "cut off": whole[: len(whole) // 3],
    }


@pytest.mark.parametrize("kind", ["text", "first page overwritten", "cut off"])
def test_damaged_database(tmp_path: Path, kind: str) -> None:
    data = _damaged_files(tmp_path / "whole.sqlite")[kind]
    path = tmp_path / "library.sqlite"
    path.write_bytes(data)

    def read_all() -> None:
        with Library.open(path) as library:
            for id in range(1, 13):
                library.get(id)

    with pytest.raises(LibraryError, match="damaged") as caught:
        read_all()
    assert "\n" not in str(caught.value)
    assert path.read_bytes()[:100] == data[:100]


def test_tables_missing(database_url: str) -> None:
    with Library.open(database_url) as library:
        with library._engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE face_score")
        with pytest.raises(LibraryError, match="damaged"):
            library.add(example())
        assert library.ids() == ()


def test_a_damaged_or_newer_document(library: Library) -> None:
    id = library.add(example())
    table = schema.document
    for content, sentence in [(b"garbage", "damaged"), (None, "newer Veriframe")]:
        now = f'"schema_version": "{SCHEMA_VERSION}"'
        text = example().to_json().replace(now, '"schema_version": "9.0"')
        assert "9.0" in text
        import zlib

        packed = content or zlib.compress(text.encode())
        with library._engine.connect() as connection, connection.begin():
            connection.execute(sa.update(table).values(json=packed))
        with pytest.raises(LibraryError, match=sentence):
            library.get(id)


ADDRESSES = {
    "other database": ("mysql://localhost/x", "SQLite or a PostgreSQL"),
    "memory": ("sqlite://", "SQLite or a PostgreSQL"),
    "nonsense": ("no address at all", "cannot be read"),
    "nobody there": ("postgresql://u:secret@127.0.0.1:1/x", "cannot be reached"),
    "no such socket": ("postgresql://u:secret@/x?host=/nowhere", "cannot be reached"),
    "a file for a folder": (f"sqlite:///{__file__}/library.sqlite", "cannot be opened"),
}


@pytest.mark.parametrize(("address", "sentence"), ADDRESSES.values(), ids=ADDRESSES)
def test_addresses_that_do_not_work(
    monkeypatch: pytest.MonkeyPatch, address: str, sentence: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", address)
    with pytest.raises(LibraryError, match=sentence) as caught:
        Library.open()
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_default_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "new" / "data folder"
    monkeypatch.setenv("VERIFRAME_DATA", str(folder))
    with Library.open() as library:
        id = library.add(example(), Drawn())
        assert library.place == str(folder / "library.sqlite")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "library.sqlite").stat().st_mode & 0o777 == 0o600
    raw = sqlite3.connect(folder / "library.sqlite")
    assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    raw.close()
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{folder}/library.sqlite")
    with Library.open() as library:
        assert library.get(id) == example()
    monkeypatch.delenv("VERIFRAME_DATA")
    monkeypatch.delenv("DATABASE_URL")
    assert files.data_folder().name == "veriframe"


# --- the schema -----------------------------------------------------------------------------


def test_migrations_lead_to_the_tables_that_the_code_knows(library: Library) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with library._engine.connect() as connection:
        options = {"version_table": database.VERSION_TABLE, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, schema.metadata) == []


def test_the_newest_migration_is_the_one_that_the_code_expects(library: Library) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(database.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [database.REVISION]
    with database.writing(library._engine) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        tables = set(sa.inspect(connection).get_table_names())
    assert tables <= {database.VERSION_TABLE, "sqlite_sequence"}


def test_a_failed_migration_leaves_nothing(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(connection: sa.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE half (id INTEGER)")
        connection.exec_driver_sql("CREATE TABLE half (id INTEGER)")

    with monkeypatch.context() as patch:
        patch.setattr(database, "_migrate", broken)
        with pytest.raises(LibraryError, match="could not be used"):
            Library.open(database_url)
    with Library.open(database_url) as library:
        assert library.search().total == 0


def test_frames_of_an_analysis_are_found_without_reading_all(tmp_path: Path) -> None:
    with Library.open(tmp_path / "library.sqlite") as library:
        conditions = sql.frame_conditions(FrameFilter(analyses=[1, 2], score=(0.5, None)))
        query = sql.frame_query(conditions, "order")
        text = str(query.compile(library._engine, compile_kwargs={"literal_binds": True}))
        with library._engine.connect() as connection:
            plan = [row[3] for row in connection.exec_driver_sql("EXPLAIN QUERY PLAN " + text)]
    assert any("SEARCH face_score USING" in step for step in plan)
    assert not any(step.startswith("SCAN") for step in plan)


def test_a_run_without_postgresql_says_so(tmp_path: Path) -> None:
    (tmp_path / "hide_postgresql.py").write_text(
        "from tests.helpers import postgres\npostgres.programs = lambda: None\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "hide_postgresql", "--collect-only", "-q",
         "-p", "no:cacheprovider", "tests/library/test_store.py"],
        check=False, capture_output=True, text=True, cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "PostgreSQL is NOT installed: the library was tested on SQLite only." in done.stdout
    assert "[postgresql" not in done.stdout
    assert "test_postgresql_refuses_in_the_middle" not in done.stdout

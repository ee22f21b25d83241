"""What we parse ourselves: imported analyses, rows of a library, parameters of a link.

Every outcome is a value or a named error. `VERIFRAME_FUZZ_EXAMPLES` tries more of them.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import hashlib
import json
import math
import os
import re
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.analysis import verify
from detector.errors import DetectorError, LibraryError, ReportError, ResultError
from detector.library import rows
from detector.library.store import Library
from detector.library.types import FRAME_SORTS, LIBRARY_SORTS, FrameFilter, LibraryFilter
from detector.limits import Limits
from detector.report import export, tables
from detector.result import Analysis
from tests.helpers.apptest import open_page, words
from tests.helpers.examples import Drawn, example

EXAMPLES = int(os.environ.get("VERIFRAME_FUZZ_EXAMPLES", "150"))
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="VERIFRAME_FUZZ_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
    database=None,
)
FEWER = settings(FUZZ, max_examples=EXAMPLES // 5)  # each opens a library anew

WHOLE = json.loads(export.to_json(example(frames=3)))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=40)
    | st.sampled_from(
        [
            0,
            -1,
            2**31,
            2**63,
            -(2**63),
            2**64,
            10**400,
            1e308,
            math.nan,
            "0",
            "NaN",
            "../../x",
            "<script>alert(1)</script>",
            "\x00",
            "\ud800",
            "9" * 5000,
            "0001-01-01",
            "10000-01-01T00:00:00",
            "=1+1",
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    found = [path]
    if isinstance(value, dict):
        for key in value:
            found += places(value[key], (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            found += places(item, (*path, number))
    return found


PLACES = places(WHOLE)[1:]


def changed(path: tuple[Any, ...], do: str, value: Any) -> Any:
    """The whole analysis with something else at a place."""
    result = copy.deepcopy(WHOLE)
    place = result
    for step in path[:-1]:
        place = place[step]
    if do == "put":
        place[path[-1]] = value
    elif do == "drop":
        del place[path[-1]]
    elif isinstance(place, list):
        place += [copy.deepcopy(place[path[-1]])] * 3
    else:
        place[str(value)] = place[path[-1]]
    return result


def read(text: str | bytes) -> Analysis | None:
    """The analysis, or None where it is refused with a named error of one sentence."""
    try:
        return Analysis.from_json(text)
    except ResultError as error:
        said = str(error)
        assert said.endswith(".")
        assert "\n" not in said
        assert len(said) < 600
        return None


@FUZZ
@given(st.binary(max_size=300) | st.text(max_size=300))
def test_anything_is_no_analysis(content: str | bytes) -> None:
    assert read(content) is None


@pytest.mark.parametrize(
    "content",
    ["[" * 100_000, '{"a":' * 50_000, '{"schema_version": "1.0"' + ',"x":[' * 20_000,
     b"\xff\xfe{}", b"\x00", '{"schema_version": "' + "9" * 100_000 + '.0"}',
     '{"schema_version": ' + "9" * 100_000 + "}", '{"schema_version": ["1.0"]}',
     json.dumps({"schema_version": WHOLE["schema_version"], "frames": [{}] * 50_000})],
    ids=["arrays", "objects", "both", "utf-16", "nul", "version", "number", "list", "frames"],
)  # fmt: skip
def test_deep_and_long_files_are_refused(content: str | bytes) -> None:
    assert read(content) is None


@FUZZ
@given(st.sampled_from(PLACES), st.sampled_from(["put", "put", "put", "drop", "double"]), VALUES)
def test_a_changed_analysis_is_refused_or_of_use(
    library: Library, path: tuple, do: str, value: Any
) -> None:
    text = json.dumps(changed(path, do, value))
    analysis = read(text)
    if analysis is None:
        return
    with contextlib.suppress(DetectorError):
        assert Analysis.from_json(analysis.to_json()) == analysis
    with contextlib.suppress(DetectorError):
        assert tables.to_csv(analysis)
    with contextlib.suppress(DetectorError):
        id = library.add(analysis)
        assert library.get(id) == analysis
        assert library.search(LibraryFilter(ids=[id])).total == 1
        library.delete([id])


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    with Library.open(tmp_path_factory.mktemp("changed") / "library.sqlite") as library:
        yield library


def test_a_report_that_never_ends_is_not_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "MOST_JSON", 1 << 20)
    with pytest.raises(ReportError, match="is larger than 1 MiB"):
        verify.read_report("/dev/zero")


# ---------------------------------------------------------------- rows of a library


@pytest.fixture(scope="module")
def library_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An SQLite library of two analyses with their pictures."""
    path = tmp_path_factory.mktemp("rows") / "library.sqlite"
    with Library.open(path) as library:
        for seed in (1, 2):
            library.add(example(seed=seed), Drawn(), tags=("one", "two"), note="a note")
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode=DELETE")
    connection.close()
    return path.read_bytes()


COLUMNS = [
    ("analysis", name)
    for name in ("name", "created_at", "kept_at", "bytes", "width", "duration", "band",
                 "band_rank", "logit", "score", "states", "faces", "frames", "model_version",
                 "cover_frame", "cover_track", "source", "clip_file", "note", "sha256", "digest")
] + [("document", "json"), ("thumbnail", "jpeg"), ("tag", "name")] + [
    ("face_score", name) for name in ("time", "track", "score", "logits", "spread", "size",
                                      "usable", "left", "disagree")
]  # fmt: skip
CELLS = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.binary(max_size=60)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
    | st.sampled_from(
        [
            "[]",
            "{}",
            "null",
            "[1]",
            '{"a":1}',
            "[" * 5000,
            "1e999",
            1e300,
            253402300800,
            "../library.sqlite",
            "..",
            ".",
            "",
            zlib.compress(b"{}"),
            zlib.compress(bytes(1 << 20)),
            b"\xff\xd8\xff\xe0",
            "",
        ]
    )
)


def use(library: Library) -> None:
    """All that the pages ask a library."""
    looks: list[Callable[[], object]] = [
        lambda: library.search().items,
        lambda: library.search(LibraryFilter(text="clip", tags=("one",))).items,
        library.tags,
        library.size,
        library.model_versions,
        library.ids,
        lambda: library.frames(FrameFilter()).items,
        lambda: list(library.every_frame()),
        lambda: library.scores(FrameFilter()),
        lambda: library.frames(FrameFilter(analyses=[1]), sort="-score").items,
        lambda: library.summary(1),
        lambda: library.get(1),
        lambda: library.clip(1),
        lambda: library.pictured(1),
        lambda: library.pictures(1).frame(0),
        lambda: library.pictures(1).face(0, 1),
        lambda: library.tag([1], "more"),
        lambda: library.set_note(1, "new"),
        lambda: library.add(example(seed=3)),
        lambda: library.delete([1]),
    ]
    for look in looks:
        try:
            look()
        except LibraryError as error:
            assert str(error).endswith(".")  # noqa: PT017


@FEWER
@given(cells=st.lists(st.tuples(st.sampled_from(COLUMNS), CELLS), min_size=1, max_size=3))
def test_rows_that_somebody_changed(
    library_file: bytes, tmp_path_factory: pytest.TempPathFactory, cells: list
) -> None:
    path = tmp_path_factory.mktemp("row") / "library.sqlite"
    path.write_bytes(library_file)
    connection = sqlite3.connect(path)
    for (table, column), value in cells:
        with contextlib.suppress(sqlite3.Error, OverflowError):
            connection.execute(f'UPDATE {table} SET "{column}" = ?', (value,))
    connection.commit()
    connection.close()
    with Library.open(path) as library:
        use(library)
    for file in path.parent.iterdir():
        if file.is_file():
            file.unlink()


@FEWER
@given(place=st.floats(0, 1), piece=st.binary(min_size=1, max_size=200))
def test_a_library_file_that_was_damaged(
    library_file: bytes, tmp_path_factory: pytest.TempPathFactory, place: float, piece: bytes
) -> None:
    path = tmp_path_factory.mktemp("file") / "library.sqlite"
    start = int(place * (len(library_file) - len(piece)))
    path.write_bytes(library_file[:start] + piece + library_file[start + len(piece) :])
    try:
        with Library.open(path) as library:
            use(library)
    except LibraryError as error:
        assert str(error).endswith(".")  # noqa: PT017
    for file in path.parent.iterdir():
        if file.is_file():
            file.unlink()


@pytest.mark.parametrize("way", ["../bait", "{folder}/bait", "deep/../../bait"])
def test_a_row_cannot_make_a_file_be_deleted_or_shown(tmp_path: Path, way: str) -> None:
    """Kept clips lie in a folder of the library's own; a row names one of them, no other file."""
    bait = tmp_path / "bait"
    bait.write_bytes(b"somebody's")
    path = tmp_path / "library.sqlite"
    with Library.open(path) as library:
        id = library.add(example())
        connection = sqlite3.connect(path)
        connection.execute(
            "UPDATE analysis SET clip_file = ?, sha256 = ?, bytes = ?",
            (way.format(folder=tmp_path), hashlib.sha256(b"somebody's").hexdigest(), 10),
        )
        connection.commit()
        connection.close()
        assert library.clip(id) is None
        assert library.delete([id]) == 1
    assert bait.read_bytes() == b"somebody's"


def test_a_document_that_unpacks_to_much_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "library.sqlite"
    with Library.open(path) as library:
        id = library.add(example())
        monkeypatch.setattr(rows, "_MOST_JSON", 1 << 20)
        packed = zlib.compress(bytes(64 << 20), 9)
        connection = sqlite3.connect(path)
        connection.execute("UPDATE document SET json = ?", (packed,))
        connection.commit()
        connection.close()
        with pytest.raises(LibraryError, match="is damaged; delete it and scan the clip again"):
            library.get(id)


def test_a_full_library_refuses_one_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Library.open(tmp_path / "library.sqlite") as library:
        first = [library.add(example(seed=seed)) for seed in range(3)]
        monkeypatch.setenv("VERIFRAME_MAX_KEPT", "3")
        assert Limits.from_environment().kept == 3
        with pytest.raises(LibraryError, match="holds 3 analyses, as many as are allowed here"):
            library.add(example(seed=9))
        assert library.add(example(seed=1)) == first[1]  # known: takes no room
        library.delete(first[:1])
        assert library.add(example(seed=9)) > first[-1]


# ---------------------------------------------------------------- what is typed, and links


@FEWER
@given(
    text=st.text(max_size=200),
    sha256=st.none() | st.text(max_size=70),
    tags=st.lists(st.text(max_size=100), max_size=3),
    ids=st.none() | st.lists(st.integers(-(2**70), 2**70), max_size=4),
    bands=st.lists(st.sampled_from(["little", "some", "nothing", "", "💥"]), max_size=2),
    length=st.tuples(*[st.none() | st.floats()] * 2),
    faces=st.tuples(*[st.none() | st.integers()] * 2),
    sort=st.sampled_from([*LIBRARY_SORTS, "-score", "", "-", "1; DROP TABLE analysis"]),
    page=st.integers(),
    note=st.text(max_size=200),
)
def test_whatever_is_searched_for_and_written(
    fuzzed_library: Library,
    text: str,
    sha256: str | None,
    tags: list[str],
    ids: list[int] | None,
    bands: list[str],
    length: Any,
    faces: Any,
    sort: str,
    page: int,
    note: str,
) -> None:
    wanted = LibraryFilter(
        text=text, sha256=sha256, tags=tags, ids=ids, bands=bands, length=length, faces=faces
    )
    acts: list[Callable[[], object]] = [
        lambda: fuzzed_library.search(wanted, sort=sort, page=page),
        lambda: fuzzed_library.set_tags([1], tags),
        lambda: fuzzed_library.set_note(1, note),
        lambda: fuzzed_library.frames(
            FrameFilter(analyses=ids, score=length), sort=sort if sort in FRAME_SORTS else "order"
        ),
    ]
    for act in acts:
        with contextlib.suppress(LibraryError):
            act()
    assert len(fuzzed_library.search().items) == 2


@pytest.fixture(scope="module")
def fuzzed_library(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with Library.open(tmp_path_factory.mktemp("library") / "library.sqlite") as library:
        for seed in (1, 2):
            library.add(example(seed=seed))
        yield library


@FUZZ
@given(st.text(max_size=300) | st.from_regex(re.compile(r"[\d, -]{0,40}", re.ASCII)))
def test_numbers_of_a_link(text: str) -> None:
    from pages.parts.library_access import numbers

    found = numbers(text)
    assert len(set(found)) == len(found) <= text.count(",") + 1
    assert all(0 <= number < 10**9 for number in found)


HOSTILE = ["", "9" * 400, "1,1,1,2,3," + "4," * 500, "<img src=x onerror=alert(1)>",
           "'; DROP TABLE analysis; --", "\x00", "٣", ":red[x] $y$ [a](javascript:b)"]  # fmt: skip


@pytest.mark.parametrize("page", ["library", "frames"])
def test_a_page_survives_any_link(page: str) -> None:
    with Library.open() as library:
        library.add(example())
    for place, value in enumerate(HOSTILE):
        names = ("analysis", "compare", "track", "unknown")
        app = open_page(page, **{names[place % 2]: value, names[2 + place % 2]: value})
        assert not app.exception
        assert "Traceback" not in words(app)


def test_examples_change_every_field() -> None:
    assert {path[0] for path in PLACES} >= {field.name for field in dataclasses.fields(Analysis)}

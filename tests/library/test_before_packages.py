"""Libraries that version 0.1.0 wrote, before its modules moved, open with all that they hold.

Each holds one clip with a face and one without, scanned from the shipped samples. The one of
schema 0003 was written by the last code before the move, that of 0002 by the code of its time.
No code ever shipped with 0001 alone: that one was brought down by the migrations of the code
before the move.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from detector.files import ASSETS, sha256_of
from detector.library.database import REVISION, VERSION_TABLE
from detector.library.store import Library
from detector.library.types import FrameFilter, LibraryFilter
from tests.helpers.processes import ROOT

DATA = ROOT / "tests" / "data"
CLIP = ASSETS / "samples" / "demo_selfblend_hopper.mp4"


@dataclass(frozen=True)
class Written:
    """What was put into a library when it was written.

    Attributes:
        file: its name in `DATA`.
        revision: of its schema.
        scores: of the face in analysis 1, by frame.
        band, logit: of analysis 1; one frame alone is too little for a band.
    """

    file: str
    revision: str
    scores: dict[int, float]
    band: str | None
    logit: float | None


LIBRARIES = [
    Written(
        "library_before_packages.sqlite",
        "0003",
        {
            9: 0.9855046171216676,
            28: 0.99033275136932,
            46: 0.9796483898438068,
            65: 0.9974075229909374,
        },
        "some",
        4.4243104457855225,
    ),
    Written("library_schema_0002.sqlite", "0002", {37: 0.9847369437434272}, None, None),
    Written("library_schema_0001.sqlite", "0001", {37: 0.9847369437434272}, None, None),
]


@pytest.fixture(params=LIBRARIES, ids=lambda written: written.revision)
def written(request: pytest.FixtureRequest) -> Written:
    found: Written = request.param
    return found


@pytest.fixture
def path(written: Written, tmp_path: Path) -> Path:
    """A copy of it, since opening may migrate."""
    return Path(shutil.copyfile(DATA / written.file, tmp_path / "library.sqlite"))


@pytest.fixture
def library(path: Path) -> Iterator[Library]:
    with Library.open(path) as opened:
        yield opened


def revision(path: Path) -> str:
    """Return the revision of a library's schema, asked of the file itself."""
    with sqlite3.connect(path) as connection:
        found = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()
    connection.close()
    return str(found[0])


def test_it_is_brought_up_to_date(written: Written, path: Path) -> None:
    assert revision(path) == written.revision
    Library.open(path).close()
    assert revision(path) == REVISION


def test_analyses_are_whole(written: Written, library: Library) -> None:
    analysis = library.get(1)
    assert (analysis.software, analysis.schema_version) == ("0.1.0", "1.1")
    assert analysis.clip.sha256 == sha256_of(CLIP)
    assert (analysis.finding.band, analysis.finding.logit) == (written.band, written.logit)
    assert {frame.index: frame.faces[0].score for frame in analysis.frames} == written.scores
    assert analysis.from_json(analysis.to_json()) == analysis
    assert "no_face" in library.get(2).finding.states


def test_they_are_found_by_tag_note_and_weights(library: Library) -> None:
    first, second = library.summary(1), library.summary(2)
    assert library.ids() == (1, 2)
    assert library.ids(LibraryFilter(tags=["urgent"])) == (1,)
    assert library.ids(LibraryFilter(text="caller")) == (1,)
    assert library.tags() == {"desk": 1, "urgent": 1}
    assert (first.tags, first.note) == (("desk", "urgent"), "From a caller")
    assert (second.tags, second.source) == ((), "/clips/noface_nasa_webb_mirror.mp4")
    assert library.find(first.sha256, first.fingerprint) == first


def test_scores_are_there(written: Written, library: Library) -> None:
    rows = library.frames(FrameFilter(analyses=[1])).items
    assert {row.index: row.score for row in rows} == written.scores
    assert all(row.clip == CLIP.name and row.disagree for row in rows)
    assert sorted(library.scores()) == sorted(written.scores.values())
    assert [row.box for row in library.every_frame(FrameFilter(analyses=[2]))] == [None]


def test_pictures_are_there(written: Written, library: Library) -> None:
    pictures = library.pictures(1)
    for index in written.scores:
        assert pictures.has_face(index, 1)
        face = pictures.face(index, 1)
        assert face is not None
        assert face.shape == (128, 128, 3)
        assert np.ptp(face) > 100
        assert (pictures.frame(index) or b"").startswith(b"\xff\xd8")
    assert library.thumbnail(1) == pictures.face_picture(max(written.scores), 1)
    assert library.pictured(2) == {(66, 0)}


def test_it_goes_on_being_used(library: Library) -> None:
    library.tag([2], "seen")
    again = library.add(library.get(1))
    assert again == 1, "the same analysis is kept once"
    assert library.delete([1]) == 1
    assert library.ids() == (2,)
    assert library.summary(2).tags == ("seen",)

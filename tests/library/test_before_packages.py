"""A library that version 0.1.0 wrote, before its modules moved, opens with all that it holds."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from detector.files import ASSETS, sha256_of
from detector.library.store import Library
from detector.library.types import FrameFilter, LibraryFilter
from tests.helpers.processes import ROOT

WRITTEN = ROOT / "tests" / "data" / "library_before_packages.sqlite"
CLIP = ASSETS / "samples" / "demo_selfblend_hopper.mp4"


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """A copy of it, since opening may migrate."""
    path = tmp_path / "library.sqlite"
    shutil.copyfile(WRITTEN, path)
    with Library.open(path) as opened:
        yield opened


def test_analyses_are_whole(library: Library) -> None:
    analysis = library.get(1)
    assert (analysis.software, analysis.schema_version) == ("0.1.0", "1.1")
    assert analysis.clip.sha256 == sha256_of(CLIP)
    assert analysis.finding.band == "some"
    assert analysis.finding.logit == pytest.approx(4.74724555015564)
    assert [len(frame.faces) for frame in analysis.frames] == [1] * 6
    assert analysis.from_json(analysis.to_json()) == analysis
    assert library.get(2).finding.states == ("no_face",)


def test_they_are_found_by_tag_note_and_weights(library: Library) -> None:
    first, second = library.summary(1), library.summary(2)
    assert library.ids() == (2, 1)
    assert library.ids(LibraryFilter(tags=["urgent"])) == (1,)
    assert library.ids(LibraryFilter(text="caller")) == (1,)
    assert (first.tags, first.note) == (("desk", "urgent"), "From a caller")
    assert (second.tags, second.source) == ((), "/clips/noface_nasa_webb_mirror.mp4")
    assert library.find(first.sha256, first.fingerprint) == first


def test_scores_and_pictures_are_there(library: Library) -> None:
    rows = library.frames(FrameFilter(analyses=[1])).items
    assert [row.score for row in rows] == [
        face.score for frame in library.get(1).frames for face in frame.faces
    ]
    assert library.scores(FrameFilter(analyses=[1])).shape == (6,)
    pictures = library.pictures(1)
    assert pictures.has_face(rows[0].index, 1)
    face = pictures.face(rows[0].index, 1)
    assert face is not None
    assert face.shape[2] == 3
    assert np.ptp(face) > 100
    assert (library.thumbnail(1) or b"").startswith(b"\xff\xd8")


def test_it_goes_on_being_used(library: Library) -> None:
    library.tag([2], "seen")
    again = library.add(library.get(1))
    assert again == 1, "the same analysis is kept once"
    assert library.delete([1]) == 1
    assert library.ids() == (2,)

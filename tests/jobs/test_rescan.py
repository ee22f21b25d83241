"""Kept analyses scanned again with the current models."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from detector.analysis.engine import Engine
from detector.analysis.scan import scan
from detector.jobs.rescan import rescan_all
from detector.library.store import Library
from detector.library.types import LibraryFilter
from detector.result import Analysis
from detector.settings import Settings
from tests.helpers.examples import example


@pytest.fixture(scope="module")
def earlier(engine: Engine, sample_clip: Callable[[str], Path]) -> Analysis:
    """What an earlier version of the weights found."""
    found = scan(sample_clip("grid_brbk7n"), Settings(frames=3), engine)
    models = tuple(
        dataclasses.replace(model, version="v-1", sha256="0" * 64) for model in found.models
    )
    return dataclasses.replace(found, models=models)


def test_each_is_scanned_as_before_and_what_cannot_be_is_said(
    library: Library, engine: Engine, earlier: Analysis, sample_clip: Callable[[str], Path]
) -> None:
    old = library.add(earlier, tags=["desk"], source=sample_clip("grid_brbk7n"))
    lost = library.add(example("upload.mp4"))
    shares: list[float] = []
    done, gone, missing = rescan_all(library, [old, lost, 999], engine, shares.append)
    assert done.new is not None
    assert not done.known
    assert library.get(done.new).sampling == earlier.sampling
    assert library.get(done.new).models != earlier.models
    assert library.summary(done.new).tags == ("desk",)
    assert library.get(old) == earlier  # it stays, to be compared
    assert gone.new is None
    assert gone.name == "upload.mp4"
    assert "was not kept" in (gone.error or "")
    assert "There is no analysis 999" in (missing.error or "")
    assert shares == sorted(shares)
    assert shares[-1] == 1
    again, itself = rescan_all(library, [old, done.new], engine)
    assert (again.new, again.known) == (done.new, True)
    assert (itself.new, itself.known) == (done.new, True)
    assert library.ids(LibraryFilter(sha256=earlier.clip.sha256)) == (old, done.new)


def test_a_clip_that_was_changed_is_not_scanned_as_the_same(
    library: Library,
    engine: Engine,
    earlier: Analysis,
    sample_clip: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    clip = tmp_path / "clip.mp4"
    shutil.copy(sample_clip("grid_bbaf2n"), clip)
    id = library.add(earlier, source=clip)
    (result,) = rescan_all(library, [id], engine)
    assert result.new is None
    assert "was not kept and is not where it was" in (result.error or "")


def test_it_can_be_stopped(
    library: Library, engine: Engine, earlier: Analysis, sample_clip: Callable[[str], Path]
) -> None:
    id = library.add(earlier, source=sample_clip("grid_brbk7n"))
    assert rescan_all(library, [id], engine, cancelled=lambda: True) == ()
    assert library.ids() == (id,)

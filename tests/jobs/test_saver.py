"""After an analysis: its file is looked at while it is there, and the result is kept or not."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from queue import SimpleQueue

import pytest

from detector.analysis.engine import Engine
from detector.jobs.queue import Job, Jobs
from detector.jobs.saver import LibrarySaver
from detector.library.store import Library
from detector.pictures.folder import PictureFolder
from detector.result import Analysis
from detector.settings import Settings
from tests.helpers.examples import Drawn, example

FEW = Settings(frames=4)


@pytest.fixture(scope="module")
def jobs(engine: Engine) -> Jobs:
    return Jobs(engine, at_once=1)


def finished(job: Job) -> Analysis:
    assert job.wait(120)
    assert job.error is None
    assert job.analysis is not None
    return job.analysis


def test_an_upload_is_kept_with_its_pictures_but_without_its_file(
    jobs: Jobs, library: Library, sample_clip: Callable[[str], Path]
) -> None:
    saver = LibrarySaver(library)
    upload = BytesIO(sample_clip("grid_brbk7n").read_bytes())
    analysis = finished(jobs.submit(upload, "mine.mp4", FEW, on_done=saver))
    assert saver.id is not None
    assert saver.refused is None
    assert library.get(saver.id) == analysis
    assert library.thumbnail(saver.id) is not None
    assert library.clip(saver.id) is None
    assert saver.provenance is not None
    assert saver.provenance.sha256 == analysis.clip.sha256
    assert saver.provenance.hints
    saver.remove(library)
    assert saver.id is None
    assert library.search().total == 0


def test_a_clip_that_stays_in_place_can_be_found_again(
    jobs: Jobs, library: Library, sample_clip: Callable[[str], Path]
) -> None:
    clip = sample_clip("noface_intel_cars")
    saver = LibrarySaver(library, source=clip)
    finished(jobs.submit(clip, clip.name, FEW, on_done=saver))
    assert saver.id is not None
    assert library.clip(saver.id) == clip


def test_without_a_library_nothing_is_kept_until_asked_for(library: Library) -> None:
    analysis = example()
    saver = LibrarySaver(None)
    saver(analysis, Drawn(), Path("gone.mp4"))
    assert saver.id is None
    assert saver.refused is None
    assert saver.provenance is None
    saver.keep(library, analysis, Drawn())
    assert saver.id is not None
    assert library.get(saver.id) == analysis


def test_a_library_that_cannot_be_written_spoils_nothing(library: Library, tmp_path: Path) -> None:
    file = tmp_path / "library.sqlite"
    library.close()
    file.write_bytes(b"no database" * 400)
    saver = LibrarySaver(library)
    saver(example(), Drawn(), Path("gone.mp4"))
    assert saver.id is None
    assert saver.refused is not None
    assert "is damaged or was never one" in saver.refused


def test_what_fails_afterwards_does_not_spoil_the_result(
    jobs: Jobs, sample_clip: Callable[[str], Path]
) -> None:
    def broken(analysis: Analysis, pictures: PictureFolder, clip: Path) -> None:
        raise RuntimeError("broken")

    clip = sample_clip("noface_intel_cars")
    job = jobs.submit(clip, clip.name, FEW, on_done=broken)
    assert finished(job).clip.name == clip.name
    assert job.status == "done"


def test_stopping_at_the_last_moment_keeps_the_pictures_of_the_result(
    jobs: Jobs, sample_clip: Callable[[str], Path]
) -> None:
    clip = sample_clip("grid_brbk7n")
    started: SimpleQueue[Job] = SimpleQueue()
    stopped: list[Analysis] = []

    def stop(analysis: Analysis, pictures: PictureFolder, path: Path) -> None:
        started.get(timeout=60).cancel()
        stopped.append(analysis)

    job = jobs.submit(clip, clip.name, FEW, on_done=stop)
    started.put(job)
    analysis = finished(job)
    assert stopped == [analysis]
    assert job.pictures.frame(analysis.frames[0].index) is not None

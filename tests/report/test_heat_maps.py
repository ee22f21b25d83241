"""Heat maps of a report: of the strongest faces, and only of the weights that scored them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from detector.analysis.engine import Engine
from detector.analysis.scan import scan
from detector.library.store import Library
from detector.pictures.folder import PictureFolder
from detector.report.heat_maps import heat_maps
from detector.report.strongest_faces import strongest_faces
from detector.result import Analysis
from detector.settings import Settings


@pytest.fixture(scope="module")
def scanned(
    engine: Engine, sample_clip: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Analysis, PictureFolder]:
    pictures = PictureFolder(tmp_path_factory.mktemp("evidence"))
    clip = sample_clip("demo_selfblend_hopper")
    return scan(clip, Settings(frames=4), engine, pictures=pictures), pictures


def test_the_strongest_faces_get_a_map(
    scanned: tuple[Analysis, PictureFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.report.heat_maps.STRONGEST", 2)
    analysis, pictures = scanned
    maps = heat_maps(analysis, pictures)
    assert list(maps) == [(frame.index, face.track) for frame, face in strongest_faces(analysis, 2)]
    for (index, track), image in maps.items():
        crop = pictures.face(index, track)
        assert crop is not None
        assert image.shape == crop.shape
        assert image.dtype == np.uint8
        assert not np.array_equal(image, crop)


def test_small_copies_and_other_weights_get_none(
    scanned: tuple[Analysis, PictureFolder], tmp_path: Path
) -> None:
    analysis, pictures = scanned
    with Library.open(tmp_path / "library.sqlite") as library:
        copies = library.pictures(library.add(analysis, pictures))
        assert copies.face(analysis.frames[0].index, 1) is not None
        assert heat_maps(analysis, copies) == {}
    models = tuple(dataclasses.replace(model, sha256="0" * 64) for model in analysis.models)
    assert heat_maps(dataclasses.replace(analysis, models=models), pictures) == {}

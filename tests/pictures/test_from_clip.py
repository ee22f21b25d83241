"""A face is cut from its clip again, pixel for pixel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from detector.analysis.engine import Engine
from detector.analysis.scan import scan
from detector.errors import ClipError
from detector.library.store import Library
from detector.pictures.folder import PictureFolder
from detector.pictures.from_clip import ClipPictures, crop_from_clip, enlarge_copy
from detector.settings import Settings


def test_the_crop_is_the_one_that_was_scored(
    engine: Engine, sample_clip: Callable[[str], Path], tmp_path: Path
) -> None:
    clip = sample_clip("grid_two_faces_lbbc2a_lbax4n")
    pictures = PictureFolder(tmp_path)
    analysis = scan(clip, Settings(frames=3), engine, pictures=pictures)
    compared = 0
    for frame in analysis.frames:
        for face in frame.faces:
            kept = pictures.face(frame.index, face.track)
            assert kept is not None
            np.testing.assert_array_equal(
                crop_from_clip(clip, analysis.sampling, frame, face), kept
            )
            compared += 1
    assert compared == 6
    small = enlarge_copy(kept[::2, ::2], analysis.sampling)
    assert small.shape == kept.shape
    assert small.dtype == np.uint8
    with pytest.raises(ClipError, match="cannot be opened; check that it exists"):
        crop_from_clip(tmp_path / "gone.mp4", analysis.sampling, analysis.frames[0], face)
    with Library.open(tmp_path / "library.sqlite") as library:
        copies = library.pictures(library.add(analysis, pictures))
        pictures = ClipPictures(copies, clip, analysis)
        last = analysis.frames[-1].index
        np.testing.assert_array_equal(pictures.face(last, face.track), kept)
        assert pictures.face(last, 99) is None
        assert pictures.frame(last) == copies.frame(last)
        assert pictures.face_picture(last, face.track) == copies.face_picture(last, face.track)
        assert pictures.has_face(last, face.track)
        assert ClipPictures(copies, tmp_path / "gone", analysis).face(last, face.track) is None

"""detector.evaluation.scores: crops, pictures and clips, each the way the detector sees them."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from detector.analysis.engine import Engine
from detector.analysis.scan import scan
from detector.datasets.labelled import open_labelled
from detector.datasets.pictures import crop_for_ensemble, face_of_crop, read_picture
from detector.errors import EvaluationError
from detector.evaluation.alterations import ALTERATIONS
from detector.evaluation.scores import score_labelled
from detector.files import ASSETS
from detector.models.spec import read_ensemble
from detector.settings import Settings
from tests.helpers.crops import original
from tests.helpers.labelled_faces import made_scores, write_list
from tests.helpers.stand_ins import BrightnessScorer, StandInEngine

NAMED = {alteration.name: alteration for alteration in ALTERATIONS}


def test_crops_are_scored_as_they_are(tmp_path: Path) -> None:
    labelled = open_labelled(write_list(tmp_path, {"test": (3, 2)}))
    engine = StandInEngine()
    scores = score_labelled(labelled, engine)
    assert len(scores.faces) == len(scores.clips) == 5
    assert engine.brightness.batches == [5]
    assert list(scores.clips["label"].sort_index()) == [0, 0, 0, 1, 1]
    for row in labelled.rows.itertuples():
        crop = crop_for_ensemble(read_picture(tmp_path / row.path), 1.15, read_ensemble())
        face = scores.faces[scores.faces["clip"] == row.clip].iloc[0]
        expected = BrightnessScorer().logits(crop[None])["xception"][0]
        assert face["xception"] == pytest.approx(float(expected))
        assert face["usable"]


@pytest.mark.parametrize("name", ["h264-crf40", "360p", "crop", "gif"])
def test_altered_crops_leave_no_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    labelled = open_labelled(write_list(tmp_path / "data", {"test": (2, 1)}))
    before = score_labelled(labelled, StandInEngine())
    after = score_labelled(labelled, StandInEngine(), alteration=NAMED[name])
    assert len(after.faces) == 3
    assert after.failed == 0
    assert not np.allclose(after.faces["detail"], before.faces["detail"])
    assert list(place.iterdir()) == []


def test_an_alteration_that_fails_is_counted_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    labelled = open_labelled(write_list(tmp_path / "data", {"test": (2, 0)}))
    first = labelled.root / labelled.rows["path"].iloc[0]
    cv2.imwrite(str(first), np.zeros((1, 1, 3), np.uint8))  # too small for any codec
    scores = score_labelled(labelled, StandInEngine(), alteration=NAMED["h264-crf23"])
    assert (len(scores.faces), scores.failed) == (1, 1)
    assert list(place.iterdir()) == []


def test_whole_clips_go_through_the_whole_pipeline(tmp_path: Path, engine: Engine) -> None:
    """And what cannot be decoded, or shows no face, is counted."""
    for name, folder in (
        ("grid_two_faces_lbbc2a_lbax4n", "real"),
        ("demo_selfblend_hopper", "fake"),
        ("noface_nasa_webb_mirror", "real"),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        shutil.copy(ASSETS / "samples" / f"{name}.mp4", tmp_path / folder)
    (tmp_path / "real" / "damaged.mp4").write_bytes(b"no clip at all")
    picture = cv2.cvtColor(np.array(original()), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(tmp_path / "real" / "portrait.png"), picture)
    scores = score_labelled(open_labelled(tmp_path), engine, frames=5)
    assert (scores.unreadable, scores.faceless, scores.failed) == (1, 1, 0)
    assert set(scores.clips["kind"]) == {"video", "image"}
    two = "real/grid_two_faces_lbbc2a_lbax4n"
    assert scores.faces[scores.faces["clip"] == two]["track"].nunique() == 2
    table = scores.per_clip(scores.logits(read_ensemble()), "median").set_index("clip")
    for clip, path in (
        (two, "grid_two_faces_lbbc2a_lbax4n"),
        ("fake/demo_selfblend_hopper", "demo_selfblend_hopper"),
    ):
        found = scan(ASSETS / "samples" / f"{path}.mp4", Settings(frames=5), engine)
        if found.finding.logit is not None:
            assert table.loc[clip, "logit"] == pytest.approx(found.finding.logit, abs=1e-3)
        state = found.finding.states[0] if found.finding.states else ""
        assert scores.clips.loc[clip, "state"] == state


def test_a_clip_counts_its_usable_faces_and_its_highest_track() -> None:
    scores = made_scores(2, frames=3)
    faces = scores.faces[scores.faces["clip"] == "clip 0000"].copy()
    faces["xception"], faces["resnet50"] = [1.0, 2.0, 30.0], 0.0
    faces["usable"] = [True, True, False]
    other = faces.assign(track=2, xception=[5.0, 5.0, -9.0], usable=True)
    made = dataclasses.replace(scores, faces=pd.concat([faces, other], ignore_index=True))
    table = made.per_clip(made.faces["xception"], "median")
    assert table["logit"].iloc[0] == 5.0
    one = dataclasses.replace(scores, faces=faces.reset_index(drop=True))
    assert one.per_clip(one.faces["xception"], "median")["logit"].iloc[0] == 1.5
    none = dataclasses.replace(scores, faces=faces.assign(usable=False).reset_index(drop=True))
    assert none.per_clip(none.faces["xception"], "median")["logit"].iloc[0] == 2.0
    assert one.steadiness(one.faces["xception"], 2.0).iloc[0] == 0.5
    assert made.per_frame(made.faces["xception"])["logit"].tolist() == [5.0, 5.0, 30.0]


def test_nothing_but_unreadable_clips_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "clip.mp4").write_bytes(b"nothing")
    with pytest.raises(EvaluationError, match="No item can be scored"):
        score_labelled(open_labelled(tmp_path), StandInEngine())


@pytest.mark.parametrize(
    ("factor", "side"), [(1.8, 304), (1.15, 476), (1.0, 476)], ids=["wider", "same", "tighter"]
)
def test_crops_are_cut_to_the_factor_of_the_networks(factor: float, side: int) -> None:
    """Of a wider crop the middle is taken; a tighter one is taken whole."""
    picture = np.zeros((476, 476, 3), np.uint8)
    edge = (476 - side) // 2
    picture[edge : 476 - edge, edge : 476 - edge] = 200
    crop = crop_for_ensemble(picture, factor, read_ensemble())
    assert crop.shape == (304, 304, 3)
    assert crop[3:-3, 3:-3].min() == 200
    assert face_of_crop(picture, factor).size == pytest.approx(476 / factor)

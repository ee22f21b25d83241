"""What is fitted, what is said of it, and that the app takes it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from detector.datasets.labelled import Labelled
from detector.errors import EvaluationError, ModelError
from detector.evaluation.calibration import calibrate, in_mixed_sets, install
from detector.evaluation.result import Calibration, read, to_json
from detector.files import MODELS
from detector.models.spec import read_ensemble
from tests.helpers.labelled_faces import made_scores
from tests.helpers.stand_ins import BrightnessScorer


def fitted(labelled: Labelled, count: int = 1400, frames: int = 1) -> Calibration:
    return calibrate(
        labelled,
        made_scores(count, frames),
        BrightnessScorer(),
        before=read_ensemble(calibrated=False),
        held_out=made_scores(800, frames, seed=5),
        resamples=50,
    )


@pytest.fixture(scope="module")
def result(labelled: Labelled) -> Calibration:
    return fitted(labelled)


def test_clips_that_were_not_fitted_get_better(result: Calibration) -> None:
    held_out = result.reported
    assert held_out is not None
    for quality in (result.fitted, held_out):
        assert quality.log_loss_after.value < quality.log_loss_before.value
        assert quality.ece_after.value < quality.ece_before.value
        assert quality.false_positives_after["some"].value < 0.08
        assert sum(part.count for part in quality.reliability_after) == quality.clips
    assert (result.fitted.clips, held_out.clips) == (1400, 800)
    assert result.fitted.split == "test"  # what the labelled data calls itself


def test_the_run_carries_what_was_fitted(result: Calibration) -> None:
    assert result.run.bands.calibrated
    assert result.run.bands.some == pytest.approx(result.limits[1].logit, abs=1e-4)
    assert sum(model.weight for model in result.run.models) == pytest.approx(1)
    installed = {network.name: network.sha256 for network in read_ensemble().networks}
    assert {model.name: model.sha256 for model in result.run.models} == installed
    assert (result.run.backend, result.run.precision) == ("stand-in", "f32")
    assert [limit.reached for limit in result.limits] == [True, True, True]
    assert "with 95 % certainty" in result.note


def test_too_few_clips_are_said_in_the_note_for_the_page(labelled: Labelled) -> None:
    found = fitted(labelled, 200)
    assert [limit.reached for limit in found.limits] == [True, True, False]
    assert "299 are needed" in found.note


def test_the_aggregation_is_chosen_where_clips_have_many_frames(labelled: Labelled) -> None:
    one, many = fitted(labelled, 200), fitted(labelled, 200, frames=5)
    assert one.aggregation == "median"
    assert any("cannot be told apart" in note for note in one.notes)
    best = max(many.aggregations, key=lambda score: round(score.auc.value or 0, 6))
    assert many.aggregation == best.name
    assert not any("cannot be told apart" in note for note in many.notes)


def test_sets_of_one_class_are_left_out_and_counted(labelled: Labelled) -> None:
    scores = made_scores(400)
    clips = scores.clips.copy()
    clips.loc[(clips["set"] == "second") & (clips["label"] == 1), "set"] = "first"
    found = calibrate(
        labelled, dataclasses.replace(scores, clips=clips), BrightnessScorer(), resamples=20
    )
    assert found.fitted.clips == 300
    assert "100 clips of data sets with one class only were left out of the fit." in found.notes


def test_one_class_cannot_be_calibrated(labelled: Labelled) -> None:
    scores = made_scores(40, sets=("only",))
    clips = scores.clips[scores.clips["label"] == 0]
    alone = dataclasses.replace(scores, clips=clips)
    assert in_mixed_sets(alone) is None
    with pytest.raises(EvaluationError, match="needs unaltered and manipulated clips"):
        calibrate(labelled, alone, BrightnessScorer())


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(MODELS / "ensemble.json", folder)
    for path in MODELS.glob("*.safetensors"):
        (folder / path.name).symlink_to(path)
    return folder


def test_the_app_takes_what_is_installed(result: Calibration, models: Path) -> None:
    assert install(result, models) == models / "calibration.json"
    ensemble = read_ensemble(models / "ensemble.json")
    assert ensemble.bands.calibrated
    assert ensemble.bands.note == result.note
    assert dataclasses.asdict(ensemble.bands) == {
        **{
            name: pytest.approx(getattr(result.run.bands, name))
            for name in ("inconclusive", "some", "strong")
        },
        "calibrated": True,
        "note": result.note,
    }
    for network, model in zip(ensemble.networks, result.run.models, strict=True):
        assert (network.weight, network.temperature) == (model.weight, model.temperature)
    assert to_json(read(Calibration, models / "calibration.json")) == to_json(result)
    assert sorted(path.name for path in models.glob("*.json")) == [
        "calibration.json",
        "ensemble.json",
    ]


def test_a_calibration_of_other_weights_is_neither_installed_nor_used(
    result: Calibration, models: Path
) -> None:
    install(result, models)
    model = dataclasses.replace(result.run.models[0], sha256="0" * 64)
    run = dataclasses.replace(result.run, models=(model, *result.run.models[1:]))
    before = (models / "calibration.json").read_bytes()
    with pytest.raises(EvaluationError, match="other weights"):
        install(dataclasses.replace(result, run=run), models)
    assert (models / "calibration.json").read_bytes() == before
    found = json.loads(before)
    found["run"]["models"][0]["sha256"] = "0" * 64
    (models / "calibration.json").write_text(json.dumps(found))
    with pytest.raises(ModelError, match="fitted on other weights"):
        read_ensemble(models / "ensemble.json")


def test_the_shipped_calibration_is_of_the_shipped_weights() -> None:
    found = read(Calibration, MODELS / "calibration.json")
    installed = {network.name: network.sha256 for network in read_ensemble().networks}
    assert {model.name: model.sha256 for model in found.run.models} == installed
    assert found.reported is not None
    assert found.reported.ece_after.value < found.reported.ece_before.value
    assert found.reported.log_loss_after.value < found.reported.log_loss_before.value
    assert read_ensemble().bands.note == found.note

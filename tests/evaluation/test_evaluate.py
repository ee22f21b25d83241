"""Both levels, each set and method, honest about what the data cannot say."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from detector.analysis.aggregation import AGGREGATIONS
from detector.datasets.labelled import Labelled
from detector.evaluation.evaluate import (
    best_aggregation,
    compare_aggregations,
    evaluate,
    judged_by,
    measure_table,
)
from detector.evaluation.result import AggregationScore, Estimate, Evaluation, Metrics, to_json
from detector.evaluation.scores import LabelledScores
from detector.models.spec import read_ensemble
from tests.helpers.labelled_faces import made_scores
from tests.helpers.stand_ins import BrightnessScorer


def measured(labelled: Labelled, scores: LabelledScores, **more: int) -> Evaluation:
    return evaluate(labelled, scores, BrightnessScorer(), resamples=100, **more)


@pytest.fixture(scope="module")
def result(labelled: Labelled) -> Evaluation:
    return measured(labelled, made_scores(frames=3))


def test_both_levels_say_which_they_are(result: Evaluation) -> None:
    assert (result.frame.level, result.clip.level) == ("frame", "clip")
    assert result.frame.real == result.frame.manipulated == 300
    assert result.clip.real == result.clip.manipulated == 100
    assert result.frame.sources == result.clip.sources == 100


def test_the_numbers_are_those_of_the_ensemble(result: Evaluation) -> None:
    scores, ensemble = made_scores(frames=3), read_ensemble()
    logits = scores.logits(ensemble)
    labels = scores.faces["clip"].map(scores.clips["label"])
    assert result.frame.auc.value == pytest.approx(roc_auc_score(labels, logits))
    clips = logits.groupby(scores.faces["clip"]).median()
    assert result.clip.auc.value == pytest.approx(
        roc_auc_score(scores.clips["label"][clips.index], clips)
    )
    real = clips[scores.clips["label"][clips.index] == 0]
    for band in ("inconclusive", "some", "strong"):
        found = result.clip.false_positives[band].value
        assert found == pytest.approx((real >= getattr(ensemble.bands, band)).mean())


def test_every_interval_holds_its_value(result: Evaluation) -> None:
    def check(metrics: Metrics) -> int:
        held = 0
        for value in dataclasses.asdict(metrics).values():
            for entry in [value, *value.values()] if isinstance(value, dict) else []:
                if isinstance(entry, dict) and entry.get("low") is not None:
                    assert entry["low"] - 0.05 <= entry["value"] <= entry["high"] + 0.05
                    held += 1
        return held

    assert check(result.frame) == check(result.clip) == 13
    assert set(result.networks) == {"resnet50", "xception"}
    assert result.networks["xception"].auc.value > result.networks["resnet50"].auc.value


def test_each_set_and_method_has_its_own_numbers(result: Evaluation) -> None:
    assert [(group.name, group.metrics.real) for group in result.by_set] == [
        ("first", 50),
        ("second", 50),
    ]
    assert [group.name for group in result.by_method] == ["blend", "swap"]
    for group in result.by_method:
        assert group.metrics.level == "clip"
        assert (group.metrics.real, group.metrics.manipulated) == (100, 50)


def test_curves_and_references(result: Evaluation) -> None:
    assert set(result.roc) == set(result.precision_recall) == {"ensemble", "resnet50", "xception"}
    for curve in (*result.roc.values(), *result.precision_recall.values()):
        assert len(curve.x) == len(curve.y) == len(curve.logits) <= 200
        assert list(curve.x) == sorted(curve.x)
    assert sum(part.count for part in result.reliability) == 200
    assert {part.name for part in result.reference} == {
        "logit",
        "size",
        "sharpness",
        "brightness",
        "disagreement",
    }
    for part in result.reference:
        assert part.count == 600
        assert len(part.quantiles) == 101
        assert list(part.quantiles) == sorted(part.quantiles)


def test_the_same_seed_gives_the_same_bytes(labelled: Labelled) -> None:
    scores = made_scores(60)
    texts = [to_json(measured(labelled, scores, seed=seed)) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_one_class_is_evaluated_without_what_needs_two(labelled: Labelled) -> None:
    scores = made_scores(60)
    clips = scores.clips[scores.clips["label"] == 0]
    one = dataclasses.replace(
        scores, clips=clips, faces=scores.faces[scores.faces["clip"].isin(clips.index)]
    )
    result = measured(labelled, one)
    assert result.clip.auc == Estimate(None, None, None)
    assert result.clip.false_positives["some"].value is not None
    assert result.clip.detections["some"].value is None
    assert result.roc == {}
    assert result.by_method == ()
    assert to_json(result)


def test_what_the_data_cannot_say_is_said(labelled: Labelled) -> None:
    scores = dataclasses.replace(made_scores(40), unreadable=2, faceless=1)
    notes = measured(labelled, scores).notes
    assert "2 items were left out: not decodable." in notes
    assert "1 item was left out: no face was found." in notes
    assert any("cannot be told apart" in note for note in notes)
    assert any("Only 20 unaltered clips" in note for note in notes)
    for note in notes:
        assert note.endswith(".")


def test_aggregations_are_compared_on_the_same_clips() -> None:
    scores = made_scores(300, frames=9)
    wild = scores.faces.copy()
    outliers = wild["frame"] == 4  # one frame of each clip
    wild.loc[outliers, "xception"] = np.random.default_rng(1).normal(0, 40, outliers.sum())
    compared = compare_aggregations(
        dataclasses.replace(scores, faces=wild), read_ensemble(), resamples=50
    )
    by_name = {score.name: score.auc.value for score in compared}
    assert set(by_name) == set(AGGREGATIONS)
    assert by_name["trimmed-mean"] > by_name["top-k"]
    assert best_aggregation(compared) in ("median", "trimmed-mean")


@pytest.mark.parametrize(
    ("values", "best"),
    [((0.9, 0.9, 0.9), "median"), ((0.9, 0.95, 0.9), "mean"), ((None, None, None), "median")],
)
def test_the_median_stays_where_nothing_is_better(
    values: tuple[float | None, ...], best: str
) -> None:
    none = Estimate(None, None, None)
    compared = tuple(
        AggregationScore(name, Estimate(value, None, None), none)
        for name, value in zip(("median", "mean", "top-k"), values, strict=True)
    )
    assert best_aggregation(compared) == best


def test_a_table_of_nothing_has_no_numbers() -> None:
    empty = made_scores(4).per_clip(made_scores(4).faces["xception"], "median").iloc[:0]
    assert measure_table(empty, "clip", read_ensemble().bands, 10).auc.value is None


def test_another_ensemble_judges_the_same_scorer() -> None:
    scorer = BrightnessScorer()
    other = dataclasses.replace(scorer.ensemble, version="other")
    judged = judged_by(scorer, other)
    assert judged.ensemble.version == "other"
    assert scorer.ensemble.version != "other"
    crops = np.full((2, 4, 4, 3), 100, np.uint8)
    assert judged.logits(crops)["xception"] == pytest.approx(scorer.logits(crops)["xception"])


def test_no_path_is_written(result: Evaluation, labelled: Labelled) -> None:
    text = to_json(result)
    assert str(labelled.root) not in text
    assert str(Path.home()) not in text
    assert "clip 0001" not in text

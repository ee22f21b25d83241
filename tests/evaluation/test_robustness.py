"""Every alteration, and what not judging does."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from detector.datasets.labelled import Labelled
from detector.evaluation.abstention import COVERAGES, RULES, abstention, curves, judgements
from detector.evaluation.alterations import ALTERATIONS
from detector.evaluation.result import MODEL_CARD, Abstention, Robustness, read
from detector.evaluation.robustness import robustness, score_alterations
from detector.evaluation.scores import LabelledScores
from detector.models.spec import read_ensemble
from detector.result import AbstainReason, BandThresholds
from tests.helpers.labelled_faces import made_scores
from tests.helpers.stand_ins import BrightnessScorer


def altered() -> dict[str, LabelledScores]:
    """The first half as it is; compressed, half of the clips are noise and have a state."""
    clean = made_scores(200)
    bad = made_scores(200, seed=1)
    faces, clips = bad.faces.copy(), bad.clips.copy()
    worn = np.arange(200) % 4 < 2
    faces.loc[worn, "xception"] = np.random.default_rng(0).normal(0, 3, worn.sum())
    faces.loc[worn, "detail"] = -3.5
    clips.loc[clips.index[worn], "state"] = "heavily_recompressed"
    return {
        "original": clean,
        "h264-crf40": dataclasses.replace(bad, faces=faces, clips=clips, failed=3),
    }


def test_each_alteration_is_scored_once() -> None:
    asked = []
    found = score_alterations(lambda alteration: asked.append(alteration.name) or made_scores(4))
    assert asked == list(found) == [alteration.name for alteration in ALTERATIONS]


def test_the_table_of_robustness(labelled: Labelled) -> None:
    result = robustness(labelled, altered(), BrightnessScorer(), resamples=50)
    first, second = result.variants
    assert (first.name, second.name) == ("original", "h264-crf40")
    assert first.metrics.level == second.metrics.level == "clip"
    assert (first.metrics.real, first.metrics.manipulated) == (100, 100)
    assert first.metrics.auc.value > second.metrics.auc.value
    assert (first.abstained, second.abstained) == (0, 0.5)
    assert (first.failed, second.failed) == (0, 3)


def test_abstaining_lowers_the_error_where_the_states_are_right(labelled: Labelled) -> None:
    result = abstention(labelled, altered(), BrightnessScorer(), resamples=50)
    everything, original, worn = result.variants
    assert (everything.name, everything.clips) == ("all", 400)
    assert original.states["inconclusive"] > 0
    assert worn.states["heavily_recompressed"] == 0.5
    assert worn.coverage.value < 0.5
    for part in (everything, worn):
        assert part.error_judged.value < part.error_all.value < part.error_abstained.value
    assert any(note.startswith("All together: judging") for note in result.notes)


def test_where_abstaining_does_not_help_it_is_said(labelled: Labelled) -> None:
    scores = altered()
    worn = scores["h264-crf40"]
    state = np.where(worn.clips["state"] == "", "heavily_recompressed", "")
    wrong = dataclasses.replace(worn, clips=worn.clips.assign(state=state))
    result = abstention(
        labelled,
        {"original": scores["original"], "h264-crf40": wrong},
        BrightnessScorer(),
        resamples=20,
    )
    assert result.notes[-1].startswith("Not lowered among: H.264, CRF 40;")


def test_what_is_judged_by_hand() -> None:
    scores = made_scores(4)
    bands = BandThresholds(-1.0, 1.0, 3.0, calibrated=True, note="")
    ensemble = dataclasses.replace(read_ensemble(), bands=bands)
    logits = pd.Series([-2.0, 0.0, 2.0, 5.0])  # unaltered, manipulated, unaltered, manipulated
    faces = scores.faces.copy()
    for network in ensemble.networks:
        faces[network.name] = logits * network.temperature
    clips = scores.clips.assign(state=["", "", "", "faces_too_dark"])
    table = judgements(dataclasses.replace(scores, faces=faces, clips=clips), ensemble)
    assert table["judged"].tolist() == [True, False, True, False]
    assert table["error"].tolist() == [False, True, True, False]
    assert table["confidence"].tolist() == pytest.approx([1.0, -1.0, 1.0, 4.0], abs=1e-6)


def test_curves_of_risk_and_coverage_by_hand() -> None:
    table = pd.DataFrame(
        {
            "error": [False] * 60 + [True] * 40,
            "confidence": np.linspace(5, 0, 100),
            "detail": np.linspace(-3, -1, 100),
            "source": [str(n) for n in range(100)],
        }
    )
    found = {name: [p.risk for p in points] for name, points in curves(table, 50, 1).items()}
    assert [p.coverage for p in curves(table, 50, 1)["random"]] == list(COVERAGES)
    assert found["random"] == [0.4] * len(COVERAGES)
    assert found["confidence"][:12] == [0.0] * 12
    assert found["confidence"][-1] == found["quality"][-1] == pytest.approx(0.4)
    assert found["quality"][0] == 1.0


def test_rules_are_sentences_and_their_states_exist() -> None:
    for rule in RULES:
        assert rule.sentence.endswith(".")
        assert rule.state in ("", *AbstainReason.__args__)
        assert rule.below is not None or rule.above is not None


def test_the_shipped_table_holds_every_alteration() -> None:
    found = read(Robustness, MODEL_CARD / "robustness.json")
    assert [part.name for part in found.variants] == [part.name for part in ALTERATIONS]
    for part in found.variants:
        assert part.metrics.real >= 50
        assert part.metrics.manipulated >= 50


def test_abstaining_lowers_the_error_of_the_shipped_test_split() -> None:
    found = read(Abstention, MODEL_CARD / "abstention.json")
    parts = {part.name: part for part in found.variants}
    for name in ("all", "original"):
        assert parts[name].error_judged.value < parts[name].error_all.value
    confidence, random = found.curves["confidence"], found.curves["random"]
    half = len(COVERAGES) // 2
    assert confidence[half].high < random[half].risk

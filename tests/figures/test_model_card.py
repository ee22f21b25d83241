"""detector.figures.model_card on values made by hand."""

from __future__ import annotations

import pytest

from detector.evaluation.result import Bin, CoveragePoint, Curve
from detector.figures.model_card import (
    precision_recall_chart,
    reliability_chart,
    risk_chart,
    robustness_chart,
    roc_chart,
)
from tests.helpers.measured import robustness

CURVES = {
    "ensemble": Curve((0.0, 0.2, 1.0), (0.0, 0.9, 1.0), (None, 1.25, -4.0)),
    "xception": Curve((0.0, 1.0), (0.0, 1.0), (None, None)),
}


def test_roc_has_each_curve_its_thresholds_and_the_diagonal() -> None:
    ensemble, xception, guessing = roc_chart(CURVES).data
    assert (ensemble.x, ensemble.y) == (CURVES["ensemble"].x, CURVES["ensemble"].y)
    assert [point[0] for point in ensemble.customdata] == ["–", "+1.25", "-4.00"]
    assert (ensemble.name, xception.name) == ("Ensemble", "Xception")
    assert (tuple(guessing.x), tuple(guessing.y)) == ((0, 1), (0, 1))


def test_precision_recall_compares_with_the_share_that_is_manipulated() -> None:
    *_, guessing = precision_recall_chart(CURVES, 0.25).data
    assert tuple(guessing.y) == (0.25, 0.25)


def test_reliability_before_and_after() -> None:
    bins = (Bin(0.1, 0.2, 30), Bin(0.9, 0.7, 10))
    before, after, ideal = reliability_chart({"Before": bins, "After": bins[:1]}).data
    assert (tuple(before.x), tuple(before.y)) == ((0.1, 0.9), (0.2, 0.7))
    assert before.customdata[1][0] == 10
    assert len(after.x) == 1
    assert before.line.color != after.line.color
    assert ideal.name == "Ideal"


def test_robustness_shows_both_classes_with_their_intervals() -> None:
    unaltered, manipulated = robustness_chart(robustness().variants).data
    assert list(unaltered.x) == pytest.approx([0.05, 0.31])
    assert list(unaltered.error_x.array) == pytest.approx([0.02, 0.02])
    assert list(unaltered.error_x.arrayminus) == pytest.approx([0.02, 0.02])
    assert list(manipulated.x) == pytest.approx([0.8, 0.8])
    assert list(unaltered.y) == ["As it is", "H.264, CRF 40"]


def test_risk_against_coverage_with_bands_for_all_but_random() -> None:
    points = (CoveragePoint(0.5, 0.1, 0.05, 0.2), CoveragePoint(1.0, 0.2, 0.1, 0.3))
    area, line, random = risk_chart({"confidence": points, "random": points}).data
    assert tuple(area.y) == (0.05, 0.1, 0.3, 0.2)
    assert tuple(line.y) == (0.1, 0.2)
    assert random.line.dash == "dash"

"""detector.evaluation.metrics: each metric against scikit-learn, or a case worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from detector.evaluation import metrics
from detector.evaluation.metrics import Labels, Numbers

KINDS = ["apart", "mixed", "ties", "unbalanced"]


def data(kind: str) -> tuple[Labels, Numbers]:
    random = np.random.default_rng(KINDS.index(kind))
    labels = (random.random(300) < (0.05 if kind == "unbalanced" else 0.5)).astype(np.int64)
    logits = random.normal(labels * (4.0 if kind == "apart" else 1.0), 1.0)
    return labels, np.round(logits) if kind == "ties" else logits


def whole(labels: Labels) -> Numbers:
    return np.ones((1, len(labels)))


def drawn(labels: Labels, count: int = 20) -> Numbers:
    """How often each of `count` bootstrap samples holds an item."""
    size = len(labels)
    return np.random.default_rng(9).multinomial(size, np.full(size, 1 / size), count).astype(float)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("auc", lambda y, x, w: reference.roc_auc_score(y, x, sample_weight=w)),
        (
            "average_precision",
            lambda y, x, w: reference.average_precision_score(y, x, sample_weight=w),
        ),
        ("f1", lambda y, x, w: reference.f1_score(y, x > 0, sample_weight=w)),
        ("accuracy", lambda y, x, w: reference.accuracy_score(y, x > 0, sample_weight=w)),
        (
            "log_loss",
            lambda y, x, w: reference.log_loss(y, 1 / (1 + np.exp(-x)), sample_weight=w),
        ),
    ],
    ids=["auc", "average precision", "f1", "accuracy", "log loss"],
)
def test_as_scikit_learn_has_it_whole_and_resampled(kind: str, name: str, expected) -> None:
    labels, logits = data(kind)
    of = getattr(metrics, name)
    assert of(labels, logits, whole(labels))[0] == pytest.approx(expected(labels, logits, None))
    weights = drawn(labels)
    found = of(labels, logits, weights)
    assert found.shape == (20,)
    for row, value in zip(weights, found, strict=True):
        assert value == pytest.approx(expected(labels, logits, row), abs=1e-9)


def test_log_loss_survives_logits_that_a_probability_would_not() -> None:
    labels = np.array([1, 0])
    assert metrics.log_loss(labels, np.array([-900.0, -900.0]), whole(labels))[0] == 450.0


@pytest.mark.parametrize(
    ("labels", "logits", "rate"),
    [
        ([0, 0, 1, 1], [-2, -1, 1, 2], 0.0),
        ([1, 1, 0, 0], [-2, -1, 1, 2], 1.0),
        ([0, 0, 0, 1, 0, 1, 1, 1], [0, 1, 2, 3, 4, 5, 6, 7], 0.25),
        ([0, 1], [1, 1], 0.5),
    ],
    ids=["apart", "the wrong way", "one of four", "a tie"],
)
def test_the_equal_error_rate_worked_out_by_hand(
    labels: list[int], logits: list[float], rate: float
) -> None:
    y, x = np.array(labels), np.array(logits, dtype=float)
    assert metrics.equal_error_rate(y, x, whole(y))[0] == pytest.approx(rate)


@pytest.mark.parametrize("kind", ["apart", "mixed", "ties"])  # the others step too widely
def test_at_the_equal_error_rate_both_errors_are_equal(kind: str) -> None:
    labels, logits = data(kind)
    rate = metrics.equal_error_rate(labels, logits, whole(labels))[0]
    alarms, hits, _ = reference.roc_curve(labels, logits, drop_intermediate=False)
    assert np.interp(rate, alarms, hits) == pytest.approx(1 - rate, abs=0.02)


def test_rates_at_a_limit_which_belongs_to_the_band_above() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1])
    logits = np.array([-1.0, 0.5, 1.0, 2.0, 0.0, 3.0])
    assert metrics.rate_at(labels, logits, whole(labels), 1.0, 0)[0] == 0.5
    assert metrics.rate_at(labels, logits, whole(labels), 1.0, 1)[0] == 0.5
    twice = np.array([[1.0, 1, 2, 0, 1, 3]])
    assert metrics.rate_at(labels, logits, twice, 1.0, 0)[0] == 0.5
    assert metrics.rate_at(labels, logits, twice, 1.0, 1)[0] == 0.75


@pytest.mark.parametrize("name", ["auc", "average_precision", "equal_error_rate"])
@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_number(name: str, label: int) -> None:
    labels = np.full(5, label)
    logits = np.arange(5.0)
    assert np.isnan(getattr(metrics, name)(labels, logits, whole(labels))[0])
    assert np.isnan(metrics.rate_at(labels, logits, whole(labels), 0, 1 - label)[0])


def test_the_calibration_error_worked_out_by_hand() -> None:
    """Two bins' worth of items in fifteen bins of one: each errs by its own distance."""
    labels = np.array([0, 1])
    logits = np.log(np.array([0.2, 0.6]) / np.array([0.8, 0.4]))
    assert metrics.calibration_error(labels, logits, whole(labels))[0] == pytest.approx(
        (0.2 + 0.4) / 2
    )


def test_a_calibrated_score_has_hardly_any_calibration_error_and_a_bold_one_has() -> None:
    random = np.random.default_rng(3)
    logits = random.normal(0, 2, 20_000)
    labels = (random.random(20_000) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    assert metrics.calibration_error(labels, logits, whole(labels))[0] < 0.012
    assert metrics.calibration_error(labels, logits * 3, whole(labels))[0] > 0.05


def test_reliability_bins_are_equally_full_and_hold_everything() -> None:
    labels, logits = data("mixed")
    bins = metrics.reliability(labels, logits)
    counts = [part.count for part in bins]
    assert len(bins) == metrics.BINS
    assert sum(counts) == 300
    assert max(counts) - min(counts) <= 1
    assert [part.score for part in bins] == sorted(part.score for part in bins)
    assert sum(part.manipulated * part.count for part in bins) == pytest.approx(labels.sum())
    error = sum(abs(part.manipulated - part.score) * part.count for part in bins) / 300
    assert metrics.calibration_error(labels, logits, whole(labels))[0] == pytest.approx(error)


def test_curves_are_thinned_and_keep_their_ends() -> None:
    random = np.random.default_rng(5)
    labels = (random.random(5000) < 0.5).astype(np.int64)
    logits = random.normal(labels, 1)
    alarms, hits, limits = metrics.roc_curve(labels, logits)
    assert len(alarms) == len(hits) == len(limits) <= metrics.POINTS
    assert (alarms[0], hits[0], alarms[-1], hits[-1]) == (0, 0, 1, 1)
    area = np.trapezoid(hits, alarms)
    assert area == pytest.approx(reference.roc_auc_score(labels, logits), abs=2e-3)
    recall, precision, limits = metrics.precision_recall_curve(labels, logits)
    assert len(recall) == len(precision) == len(limits) <= metrics.POINTS
    assert (recall[0], precision[0], recall[-1]) == (0, 1, 1)
    assert (np.diff(recall) >= 0).all()

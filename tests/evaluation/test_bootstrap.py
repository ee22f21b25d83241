"""Whole sources are drawn, the same by seed, and intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from detector.evaluation import metrics
from detector.evaluation.bootstrap import estimate, estimate_rate, resample


def test_items_of_one_source_are_always_drawn_together() -> None:
    drawn = resample(["a", "b", "a", "c", "b"], 200)
    assert drawn.sources == 3
    assert drawn.weights.shape == (200, 5)
    assert (drawn.weights[:, 0] == drawn.weights[:, 2]).all()
    assert (drawn.weights[:, 1] == drawn.weights[:, 4]).all()
    assert (drawn.weights[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert (drawn.whole == 1).all()


def test_the_seed_decides() -> None:
    first, again, other = (resample(list("abcdef"), 50, seed).weights for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_intervals_hold_the_true_value_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(0)
    held = 0
    for number in range(200):
        labels = np.ones(120, dtype=np.int64)
        logits = np.where(random.random(120) < 0.7, 1.0, -1.0)
        drawn = resample(range(120), 300, number)
        found = estimate(
            float(metrics.accuracy(labels, logits, drawn.whole)[0]),
            metrics.accuracy(labels, logits, drawn.weights),
        )
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.7 <= found.high
    assert 180 <= held <= 199


def test_faces_of_one_video_widen_the_interval() -> None:
    random = np.random.default_rng(1)
    videos = random.normal(0, 1, 40).repeat(10)
    labels = np.ones(400, dtype=np.int64)
    widths = []
    for sources in (range(400), np.arange(40).repeat(10)):
        drawn = resample(list(sources), 500)
        found = estimate(0.5, metrics.accuracy(labels, videos, drawn.weights))
        assert found.low is not None
        assert found.high is not None
        widths.append(found.high - found.low)
    assert widths[1] > 2 * widths[0]


@pytest.mark.parametrize(
    ("value", "resampled", "expected"),
    [
        (float("nan"), [1.0, 2.0], (None, None, None)),
        (0.5, [float("nan")], (0.5, None, None)),
        (0.5, [0.5, float("nan"), 0.5], (0.5, 0.5, 0.5)),
    ],
    ids=["no value", "no resample", "some"],
)
def test_what_is_not_known_is_none(
    value: float, resampled: list[float], expected: tuple[float | None, ...]
) -> None:
    found = estimate(value, np.array(resampled))
    assert (found.value, found.low, found.high) == expected
    assert resample([], 3).weights.shape == (3, 0)


@pytest.mark.parametrize(("value", "count"), [(0.0, 100), (1.0, 100), (0.0, 700)])
def test_all_or_nothing_is_no_certainty(value: float, count: int) -> None:
    """Clopper and Pearson: what is seen 0 times of n may still be at 1 - 0.025 ** (1 / n)."""
    found = estimate_rate(value, np.full(50, value), count)
    edge = 1 - 0.025 ** (1 / count)
    expected = (0.0, edge) if value == 0 else (1 - edge, 1.0)
    assert (found.low, found.high) == pytest.approx(expected)
    between = estimate_rate(0.5, np.array([0.4, 0.6]), count)
    assert between == estimate(0.5, np.array([0.4, 0.6]))
    assert estimate_rate(float("nan"), np.zeros(3), 0).value is None

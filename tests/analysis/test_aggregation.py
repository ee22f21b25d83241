"""detector.analysis.aggregation: worked out by hand."""

from __future__ import annotations

from typing import get_args

import pytest

from detector.analysis.aggregation import AGGREGATIONS, WORDS, aggregate
from detector.models.spec import Aggregation

LOGITS = [8.0, -2.0, 0.0, 1.0, 2.0, 3.0, 1.0, -40.0]


@pytest.mark.parametrize(
    ("name", "logits", "expected"),
    [
        ("median", LOGITS, 1.0),
        ("mean", LOGITS, -27 / 8),
        ("trimmed-mean", LOGITS, (-2 + 0 + 1 + 1 + 2 + 3) / 6),
        ("top-k", LOGITS, (8 + 3) / 2),
        *[(name, [0.7], 0.7) for name in get_args(Aggregation)],
        ("trimmed-mean", [1.0, 2.0], 1.5),
        ("top-k", [1.0, 2.0], 2.0),
    ],
)
def test_by_hand(name: Aggregation, logits: list[float], expected: float) -> None:
    assert aggregate(logits, name) == pytest.approx(expected)


def test_each_has_a_name_and_words() -> None:
    assert set(AGGREGATIONS) == set(WORDS) == set(get_args(Aggregation))
    assert next(iter(AGGREGATIONS)) == "median"  # what stays where nothing is better

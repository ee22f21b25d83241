"""detector.evaluation.estimates: estimates as people read them."""

from __future__ import annotations

import pytest

from detector.evaluation.estimates import interval, number, of_hundred, percent
from detector.evaluation.result import Estimate


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, "none"), (0.001, "fewer than 1"), (0.043, "about 4"), (0.999, "more than 99"),
     (1.0, "all"), (0.5, "about 50")],
    ids=["none", "tiny", "few", "nearly-all", "all", "half"],
)  # fmt: skip
def test_shares_in_words(share: float, words: str) -> None:
    assert of_hundred(share) == words


@pytest.mark.parametrize(
    ("estimate", "as_number", "as_percent"),
    [
        (Estimate(0.9812, 0.9753, 0.986), "0.981 (0.975 to 0.986)", "98.1% (97.5 to 98.6)"),
        (Estimate(0.5, None, None), "0.500", "50.0%"),
        (Estimate(None, None, None), "–", "–"),
    ],
    ids=["interval", "no-interval", "unknown"],
)
def test_numbers(estimate: Estimate, as_number: str, as_percent: str) -> None:
    assert number(estimate) == as_number
    assert percent(estimate) == as_percent


def test_none_of_many_still_has_an_upper_bound() -> None:
    # The rule of three, exactly: 1 - 0.025 ** (1 / n).
    found = interval(Estimate(0.0, 0.0, 0.0), 700)
    assert found.low == 0.0
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 700))
    assert percent(Estimate(0.0, 0.0, 0.0), 700) == "0.0% (0.0 to 0.5)"
    assert interval(Estimate(1.0, 1.0, 1.0), 10).low == pytest.approx(0.025**0.1)


def test_an_interval_that_says_something_stays() -> None:
    estimate = Estimate(0.1, 0.05, 0.2)
    assert interval(estimate, 100) is estimate
    assert interval(Estimate(0.0, 0.0, 0.0), 0) == Estimate(0.0, 0.0, 0.0)

"""Estimates as people read them: numbers with their intervals, and shares of a hundred."""

from __future__ import annotations

from detector.evaluation.result import Estimate


def interval(estimate: Estimate, count: int) -> Estimate:
    """Return a share of `count` items whose interval says something even for none, or all.

    The bootstrap of 0 of 700 is 0 to 0; there Clopper and Pearson's exact interval (1934) is
    given instead.
    """
    if estimate.value is None or count == 0 or estimate.value not in (0.0, 1.0):
        return estimate
    from scipy.stats import binomtest

    exact = binomtest(round(estimate.value * count), count).proportion_ci(0.95, "exact")
    return Estimate(estimate.value, float(exact.low), float(exact.high))


def number(estimate: Estimate, digits: int = 3) -> str:
    """Write 0.981 (0.975 to 0.986); “–” where there is none."""
    if estimate.value is None:
        return "–"
    text = f"{estimate.value:.{digits}f}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} ({estimate.low:.{digits}f} to {estimate.high:.{digits}f})"


def percent(estimate: Estimate, count: int | None = None) -> str:
    """Write 4.3% (2.8 to 6.0); the interval of a share of `count` items is never empty."""
    if count is not None:
        estimate = interval(estimate, count)
    if estimate.value is None:
        return "–"
    text = f"{estimate.value * 100:.1f}%"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} ({estimate.low * 100:.1f} to {estimate.high * 100:.1f})"


def of_hundred(share: float) -> str:
    """Write a share in whole numbers of a hundred: “about 4”, “fewer than 1”, “none”, “all”."""
    if share == 0:
        return "none"
    if share == 1:
        return "all"
    rounded = round(share * 100)
    if rounded == 0:
        return "fewer than 1"
    return "more than 99" if rounded == 100 else f"about {rounded}"

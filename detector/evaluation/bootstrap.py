"""Confidence intervals by resampling source videos (Efron 1979; clusters: Davison and Hinkley).

Faces of one video, and a manipulated clip and its original, resemble each other. So whole source
videos are drawn with replacement, never single faces: an interval from faces would be too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.evaluation.result import Estimate

RESAMPLES = 1000
SEED = 7
LOW, HIGH = 2.5, 97.5


@dataclass(frozen=True)
class Resamples:
    """Which items each resample drew, and how often.

    Attributes:
        weights: float64 [resamples, items].
        sources: number of source videos.
    """

    weights: NDArray[np.float64]
    sources: int

    @property
    def whole(self) -> NDArray[np.float64]:
        """The data as it is: ones [1, items]."""
        return np.ones((1, self.weights.shape[1]))


def resample(sources: Sequence[Any], count: int = RESAMPLES, seed: int = SEED) -> Resamples:
    """Draw as many sources as there are, `count` times; an item comes as often as its source.

    Args:
        sources: the source video of each item, [items].
        count: resamples.
        seed: the same seed draws the same.
    """
    names, place = np.unique(np.asarray(sources, dtype=str), return_inverse=True)
    random = np.random.default_rng(seed)
    if not len(names):
        return Resamples(np.zeros((count, 0)), 0)
    drawn = random.multinomial(len(names), np.full(len(names), 1 / len(names)), size=count)
    return Resamples(drawn[:, place].astype(np.float64), len(names))


def estimate_rate(value: float, resampled: NDArray[np.float64], count: int) -> Estimate:
    """Estimate as `estimate` does, for a share of `count` items.

    Resamples of all or nothing are all alike, and would claim certainty; there the exact interval
    of Clopper and Pearson (1934) stands.
    """
    from scipy.stats import beta

    found = estimate(value, resampled)
    if found.value not in (0.0, 1.0) or not count:
        return found
    edge = float(beta.ppf(HIGH / 100, 1, count))
    return Estimate(0.0, 0.0, edge) if found.value == 0 else Estimate(1.0, 1 - edge, 1.0)


def estimate(value: float, resampled: NDArray[np.float64]) -> Estimate:
    """Return a value with the percentile interval of its resamples; NaN becomes None."""
    if not np.isfinite(value):
        return Estimate(None, None, None)
    known = resampled[np.isfinite(resampled)]
    if not len(known):
        return Estimate(float(value), None, None)
    low, high = np.percentile(known, [LOW, HIGH])
    return Estimate(float(value), float(low), float(high))

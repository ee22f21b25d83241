"""From the logits of a clip's frames to the clip's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from detector.models.spec import Aggregation

TRIM = 0.2  # share left out at each end
TOP = 0.25  # share of the frames with the highest logits


def aggregate(logits: Sequence[float], name: Aggregation = "median") -> float:
    """Return one logit for those of a track's usable frames.

    Args:
        logits: of the frames, at least one.
        name: "median"; "mean"; "trimmed-mean", without the lowest and highest fifth; or "top-k",
            the mean of the highest quarter.

    Raises:
        KeyError: there is no such aggregation.
    """
    return AGGREGATIONS[name](np.asarray(logits, dtype=np.float64))


def _trimmed(logits: np.ndarray) -> float:
    out = int(len(logits) * TRIM)
    return float(np.sort(logits)[out : len(logits) - out].mean())


def _top(logits: np.ndarray) -> float:
    return float(np.sort(logits)[-max(round(len(logits) * TOP), 1) :].mean())


AGGREGATIONS: dict[Aggregation, Callable[[np.ndarray], float]] = {
    "median": lambda logits: float(np.median(logits)),
    "mean": lambda logits: float(logits.mean()),
    "trimmed-mean": _trimmed,
    "top-k": _top,
}

WORDS: dict[Aggregation, str] = {
    "median": "median",
    "mean": "mean",
    "trimmed-mean": "trimmed mean",
    "top-k": "highest quarter's mean",
}

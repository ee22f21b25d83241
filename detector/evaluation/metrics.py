"""How right scores are, in numbers: each metric once, and for all bootstrap resamples at once.

Everything takes labels (1 = manipulated), logits, and weights [resamples, items]: a resample
that drew an item three times gives it weight 3. With a single row of ones the results are those
of scikit-learn, which the tests hold them to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.models.ensemble import sigmoid

Numbers = NDArray[np.float64]
Labels = NDArray[np.int64]

BINS = 15
POINTS = 200


def auc(labels: Labels, logits: Numbers, weights: Numbers) -> Numbers:
    """Return the area under the ROC curve [resamples]; NaN without both classes; ties are half."""
    positive, negative, _ = _by_threshold(labels, logits, weights)
    below = np.cumsum(negative, axis=1) - negative
    area = (positive * (below + negative / 2)).sum(axis=1)
    return _over(area, positive.sum(axis=1) * negative.sum(axis=1))


def average_precision(labels: Labels, logits: Numbers, weights: Numbers) -> Numbers:
    """Return the sum of precision x step in recall [resamples]; NaN where a class is missing."""
    positive, negative, _ = _by_threshold(labels, logits, weights)
    hits = np.cumsum(positive[:, ::-1], axis=1)
    called = hits + np.cumsum(negative[:, ::-1], axis=1)
    precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    result = _over((precision * positive[:, ::-1]).sum(axis=1), hits[:, -1])
    return np.where(negative.sum(axis=1) > 0, result, np.nan)


def equal_error_rate(labels: Labels, logits: Numbers, weights: Numbers) -> Numbers:
    """Return where misses and false positives are equal [resamples], linear in between."""
    positive, negative, _ = _by_threshold(labels, logits, weights)
    positives = positive.sum(axis=1, keepdims=True)
    negatives = negative.sum(axis=1, keepdims=True)
    zero = np.zeros((len(weights), 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        # Thresholds from below all to above all: misses rise, false positives fall.
        misses = np.hstack([zero, np.cumsum(positive, axis=1) / positives])
        alarms = np.hstack([zero + 1, 1 - np.cumsum(negative, axis=1) / negatives])
    gap = misses - alarms
    after = np.argmax(gap >= 0, axis=1)
    before = np.maximum(after - 1, 0)
    row = np.arange(len(weights))
    low, high = gap[row, before], gap[row, after]
    share = np.divide(-low, high - low, out=np.zeros_like(low), where=high > low)
    rate = misses[row, before] + share * (misses[row, after] - misses[row, before])
    there = (positives[:, 0] > 0) & (negatives[:, 0] > 0)
    return np.where(there, rate, np.nan)


def log_loss(labels: Labels, logits: Numbers, weights: Numbers) -> Numbers:
    """Return mean binary cross-entropy in nats [resamples]; from logits, so none is clipped."""
    loss = np.logaddexp(0, logits) - labels * logits
    return _over(weights @ loss, weights.sum(axis=1))


def accuracy(labels: Labels, logits: Numbers, weights: Numbers) -> Numbers:
    """Return the share on the right side of logit 0 [resamples]."""
    right = ((logits > 0) == (labels == 1)).astype(float)
    return _over(weights @ right, weights.sum(axis=1))


def f1(labels: Labels, logits: Numbers, weights: Numbers) -> Numbers:
    """Return F1 of the manipulated at logit 0 [resamples]; NaN where nothing is or is called so."""
    called, is_ = (logits > 0).astype(float), (labels == 1).astype(float)
    return _over(2 * (weights @ (called * is_)), weights @ (called + is_))


def rate_at(
    labels: Labels, logits: Numbers, weights: Numbers, threshold: float, label: int
) -> Numbers:
    """Return the share of items with `label` at or above the logit `threshold` [resamples]."""
    mine = (labels == label).astype(float)
    return _over(weights @ (mine * (logits >= threshold)), weights @ mine)


def calibration_error(labels: Labels, logits: Numbers, weights: Numbers) -> Numbers:
    """Return the expected calibration error over `BINS` equally full bins [resamples].

    Guo et al. 2017, with bins of equal count: with few items, bins of equal width are empty.
    """
    score = sigmoid(logits)
    total = weights.sum(axis=1)
    error = np.zeros(len(weights))
    for places in _equal_bins(logits):
        part = weights[:, places]
        error += np.abs(part @ (score[places] - labels[places]))
    return _over(error, total)


@dataclass(frozen=True)
class ReliabilityBin:
    """Mean score, share that is manipulated, and number of items of a bin."""

    score: float
    manipulated: float
    count: int


def reliability(labels: Labels, logits: Numbers) -> tuple[ReliabilityBin, ...]:
    """Return the bins that `calibration_error` is made of, in order of score."""
    score = sigmoid(logits)
    return tuple(
        ReliabilityBin(float(score[places].mean()), float(labels[places].mean()), len(places))
        for places in _equal_bins(logits)
    )


def roc_curve(labels: Labels, logits: Numbers) -> tuple[Numbers, Numbers, NDArray[np.float64]]:
    """Return false-positive rate, true-positive rate and thresholds, at most `POINTS` points."""
    from sklearn import metrics

    alarms, hits, thresholds = metrics.roc_curve(labels, logits, drop_intermediate=True)
    kept = _thinned(len(alarms))
    return alarms[kept], hits[kept], thresholds[kept]


def precision_recall_curve(
    labels: Labels, logits: Numbers
) -> tuple[Numbers, Numbers, NDArray[np.float64]]:
    """Return recall, precision and thresholds, at most `POINTS` points, by rising recall."""
    from sklearn import metrics

    precision, recall, thresholds = metrics.precision_recall_curve(labels, logits)
    thresholds = np.append(thresholds, np.inf)
    kept = _thinned(len(recall))
    return recall[::-1][kept], precision[::-1][kept], thresholds[::-1][kept]


def _by_threshold(
    labels: Labels, logits: Numbers, weights: Numbers
) -> tuple[Numbers, Numbers, Numbers]:
    """Return each class's weight at every distinct logit, rising: [resamples, logits] twice."""
    levels, place = np.unique(logits, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(len(levels)))
    ordered = weights[:, order]
    positive = np.add.reduceat(ordered * (labels[order] == 1), starts, axis=1)
    negative = np.add.reduceat(ordered * (labels[order] == 0), starts, axis=1)
    return positive, negative, levels


def _equal_bins(logits: Numbers) -> list[NDArray[np.int64]]:
    order = np.argsort(logits, kind="stable")
    return [part for part in np.array_split(order, min(BINS, len(order))) if len(part)]


def _over(above: Numbers, below: Numbers) -> Numbers:
    """Return the quotient; NaN where `below` is 0."""
    quotient: Numbers = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return quotient


def _thinned(count: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(count, POINTS)).round().astype(np.int64))

"""Scores that mean what they say: temperatures, ensemble weights and bands from labelled clips.

Temperature scaling (Guo et al. 2017): each network's logit is divided by the number that gives
the lowest log loss. The ensemble is the mean of these logits with the weights of lowest log loss,
then scaled once more as a whole, because a mean of calibrated logits is too cautious. Bands start
where the real-side false-positive rate is kept, with 95 % certainty (Clopper and Pearson 1934).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from detector.evaluation import metrics
from detector.evaluation.bootstrap import RESAMPLES, SEED, resample
from detector.evaluation.result import ThresholdFit
from detector.models.spec import EnsembleSpec
from detector.result import BandThresholds

Numbers = NDArray[np.float64]
Labels = NDArray[np.int64]

SOME, STRONG = 0.05, 0.01  # real-side false-positive rates
MISSED = 0.05  # share of the manipulated that may score as little evidence
CERTAINTY = 0.95  # of a bound
TEMPERATURES = (0.02, 50.0)
LEAST_WEIGHT = 0.05  # of a network, where log loss alone would silence one


def fit_temperature(labels: Labels, logits: Numbers) -> float:
    """Fit the temperature of lowest log loss.

    Args:
        labels: int64 [n], 1 = manipulated, both classes.
        logits: float64 [n].
    """
    from scipy.optimize import minimize_scalar

    one = np.ones((1, len(labels)))

    def loss(log_temperature: float) -> float:
        return float(metrics.log_loss(labels, logits / math.exp(log_temperature), one)[0])

    low, high = (math.log(bound) for bound in TEMPERATURES)
    return float(math.exp(minimize_scalar(loss, bounds=(low, high), method="bounded").x))


def fit_weights(
    labels: Labels, logits: Mapping[str, Numbers], least: float = LEAST_WEIGHT
) -> dict[str, float]:
    """Fit weights, 1 in sum, whose mean of logits has the lowest log loss.

    Args:
        labels: int64 [n], both classes.
        logits: of each network, divided by its temperature, float64 [n].
        least: that each network keeps.
    """
    from scipy.optimize import minimize

    names = list(logits)
    if len(names) == 1:
        return {names[0]: 1.0}
    columns = np.stack([logits[name] for name in names], axis=1)
    one = np.ones((1, len(labels)))

    def loss(parts: Numbers) -> float:
        # The scale is free here: which mix ranks and separates best, not how bold it is.
        mixed = columns @ parts[:-1]
        return float(metrics.log_loss(labels, mixed * math.exp(parts[-1]), one)[0])

    start = np.append(np.full(len(names), 1 / len(names)), 0.0)
    found = minimize(
        loss,
        start,
        method="SLSQP",
        bounds=[(least, 1.0)] * len(names) + [(-3.0, 3.0)],
        constraints={"type": "eq", "fun": lambda parts: parts[:-1].sum() - 1},
        options={"ftol": 1e-10, "maxiter": 500},
    )
    weights = np.clip(found.x[:-1], least, 1)
    weights = np.round(weights / weights.sum(), 4)
    return {name: float(weight) for name, weight in zip(names, weights, strict=True)}


def fit_ensemble(
    ensemble: EnsembleSpec, labels: Labels, logits: Mapping[str, Numbers]
) -> EnsembleSpec:
    """Fit new temperatures and weights of an ensemble; its bands stay as they are.

    Args:
        ensemble: the networks.
        labels: int64 [n], both classes.
        logits: of each network, uncalibrated, float64 [n].
    """
    own = {name: fit_temperature(labels, values) for name, values in logits.items()}
    calibrated = {name: logits[name] / own[name] for name in logits}
    weights = fit_weights(labels, calibrated)
    mixed = sum(weights[name] * calibrated[name] for name in calibrated)
    common = fit_temperature(labels, np.asarray(mixed, dtype=np.float64))
    return replace(
        ensemble,
        networks=tuple(
            replace(
                network,
                weight=weights[network.name],
                temperature=round(own[network.name] * common, 4),
            )
            for network in ensemble.networks
        ),
    )


def upper_bound(above: int, count: int) -> float:
    """Return the one-sided Clopper-Pearson bound of a rate: `above` of `count` were seen."""
    from scipy.stats import beta

    if above >= count:
        return 1.0
    return float(beta.ppf(CERTAINTY, above + 1, count - above))


def needed(rate: float) -> int:
    """Return how many unaltered clips, none above a threshold, bound its rate by `rate`."""
    return math.ceil(math.log(1 - CERTAINTY) / math.log(1 - rate))


def fit_threshold(
    band: str, reals: Numbers, sources: list[str], rate: float, seed: int = SEED
) -> ThresholdFit:
    """Fit the lowest threshold that keeps a real-side false-positive rate, as far as data can say.

    Args:
        band: "some" or "strong".
        reals: ensemble logits of unaltered clips, float64 [n].
        sources: their source videos, [n].
        rate: the false-positive rate to keep, [0, 1].
        seed: of the bootstrap.

    Returns:
        a threshold whose 95 % upper bound is within the rate; where the clips are too few for one,
        the threshold just above the highest of them, and `reached` False.
    """
    ordered = np.sort(reals)[::-1]
    count = len(ordered)
    above = 0
    while above + 1 < count and upper_bound(above + 1, count) <= rate:
        above += 1
    # Between two clips, so that neither rounding nor another backend moves one across it.
    threshold = (ordered[above - 1] + ordered[above]) / 2 if above else ordered[0] + 0.05
    above = int((reals >= threshold).sum())
    upper = upper_bound(above, count)
    low, high = _interval(reals, sources, rate, seed)
    return ThresholdFit(
        band=band,
        rate=rate,
        logit=float(threshold),
        low=low,
        high=high,
        real=count,
        above=above,
        upper=upper,
        needed=needed(rate),
        reached=upper <= rate,
        sentence=_sentence(band, rate, count, above, upper),
    )


def fit_bands(
    labels: Labels, logits: Numbers, sources: list[str], seed: int = SEED
) -> tuple[BandThresholds, tuple[ThresholdFit, ...]]:
    """Fit where inconclusive, some and strong begin on the ensemble's logit, and say how.

    *Inconclusive* starts where the data cannot rule out that the threshold of *some* lies, or where
    `MISSED` of the manipulated lie below, whichever is lower: what scores less is little evidence.

    Args:
        labels: int64 [n].
        logits: of the ensemble, calibrated, float64 [n].
        sources: source videos, [n].
        seed: of the bootstrap.
    """
    real = labels == 0
    reals = logits[real]
    of_reals = [source for source, is_real in zip(sources, real, strict=True) if is_real]
    some = fit_threshold("some", reals, of_reals, SOME, seed)
    strong = fit_threshold("strong", reals, of_reals, STRONG, seed)
    missed = (
        float(np.quantile(logits[~real], MISSED, method="lower")) if (~real).any() else some.low
    )
    lowest = math.floor(min(missed, some.low, some.logit - 0.01) * 1e4) / 1e4
    above = int((reals >= lowest).sum())
    inconclusive = ThresholdFit(
        band="inconclusive",
        rate=above / len(reals),
        logit=lowest,
        low=min(missed, some.low),
        high=max(missed, some.low),
        real=len(reals),
        above=above,
        upper=upper_bound(above, len(reals)),
        needed=1,
        reached=True,
        sentence=f"Inconclusive starts at {lowest:+.2f}: below it lie {MISSED:.0%} of the "
        f"manipulated clips at most, and it is not above {some.low:+.2f}, the lowest that the "
        f"limit of some evidence may be.",
    )
    if strong.logit <= some.logit:
        strong = replace(strong, logit=some.logit + 0.01)
    bands = BandThresholds(
        round(lowest, 4), round(some.logit, 4), round(strong.logit, 4), calibrated=True, note=""
    )
    return bands, (inconclusive, some, strong)


def _interval(reals: Numbers, sources: list[str], rate: float, seed: int) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the logit that `rate` of the reals reach."""
    drawn = resample(sources, RESAMPLES, seed)
    order = np.argsort(reals)
    weights = drawn.weights[:, order]
    below = np.cumsum(weights, axis=1) / np.maximum(weights.sum(axis=1, keepdims=True), 1)
    place = np.argmax(below >= 1 - rate - 1e-12, axis=1)
    low, high = np.percentile(reals[order][place], [2.5, 97.5])
    return float(low), float(high)


def _sentence(band: str, rate: float, count: int, above: int, upper: float) -> str:
    share = f"{above} of {count} unaltered clips of the validation set reach {band} evidence"
    if upper <= rate:
        return f"{share}; with 95 % certainty at most {upper:.1%} do (meant: {rate:.0%})."
    return (
        f"{share}, too few clips to be certain of {rate:.0%}: {needed(rate)} are needed, none of "
        f"them above the limit; with these, up to {upper:.1%} may reach it."
    )

"""Scores get better on clips that were not fitted, bands keep their rates."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import binom

from detector.evaluation import metrics
from detector.evaluation.fitting import (
    LEAST_WEIGHT,
    fit_bands,
    fit_ensemble,
    fit_temperature,
    fit_threshold,
    fit_weights,
    needed,
    upper_bound,
)
from detector.models.spec import read_ensemble

BOLD = {"resnet50": 0.3, "xception": 4.0}  # true temperatures of the clips below


def clips(count: int, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Labels, and logits of two networks that are wrong by a factor each; one sees better."""
    random = np.random.default_rng(seed)
    labels = (random.random(count) < 0.5).astype(np.int64)
    logits = {}
    for name, strength in (("resnet50", 0.6), ("xception", 2.5)):
        seen = random.normal(strength * (labels - 0.5), 1)
        logits[name] = strength * seen * BOLD[name]  # true log odds times the temperature
    return labels, logits


def one(labels: np.ndarray) -> np.ndarray:
    return np.ones((1, len(labels)))


@pytest.mark.parametrize("name", BOLD)
def test_a_temperature_that_was_put_in_is_found(name: str) -> None:
    labels, logits = clips(20_000, 1)
    assert fit_temperature(labels, logits[name]) == pytest.approx(BOLD[name], rel=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_fitting_lowers_log_loss_and_calibration_error_of_clips_that_were_not_fitted(
    seed: int,
) -> None:
    raw = read_ensemble(calibrated=False)
    ensemble = fit_ensemble(raw, *clips(600, seed))
    labels, logits = clips(4000, seed + 100)

    def mixed(spec) -> np.ndarray:
        total = sum(network.weight for network in spec.networks)
        return sum(n.weight / total / n.temperature * logits[n.name] for n in spec.networks)

    before, after = mixed(raw), mixed(ensemble)
    for metric in (metrics.log_loss, metrics.calibration_error):
        assert metric(labels, after, one(labels))[0] < metric(labels, before, one(labels))[0] * 0.8
    assert sum(network.weight for network in ensemble.networks) == pytest.approx(1)
    assert ensemble.bands == raw.bands


def test_independent_evidence_counts_alike_and_no_network_is_silenced() -> None:
    """Log odds of independent observations add up (naive Bayes), so both get a half."""
    labels, logits = clips(5000, 2)
    calibrated = {name: logits[name] / BOLD[name] for name in logits}
    weights = fit_weights(labels, calibrated)
    assert sum(weights.values()) == pytest.approx(1)
    assert weights["xception"] == pytest.approx(0.5, abs=0.1)
    contrary = calibrated | {"resnet50": -calibrated["resnet50"]}
    assert fit_weights(labels, contrary)["resnet50"] == LEAST_WEIGHT
    assert fit_weights(labels, contrary, least=0)["resnet50"] == 0
    assert fit_weights(labels, {"xception": logits["xception"]}) == {"xception": 1.0}


@pytest.mark.parametrize(("above", "count"), [(0, 59), (0, 299), (3, 100), (20, 400)])
def test_the_upper_bound_is_where_so_few_are_seen_one_time_in_twenty(
    above: int, count: int
) -> None:
    assert binom.cdf(above, count, upper_bound(above, count)) == pytest.approx(0.05)


def test_how_many_clips_a_rate_needs() -> None:
    assert (needed(0.05), needed(0.01)) == (59, 299)
    for rate in (0.05, 0.01):
        assert upper_bound(0, needed(rate)) <= rate < upper_bound(0, needed(rate) - 1)
    assert upper_bound(5, 5) == 1


@pytest.mark.parametrize("rate", [0.05, 0.01])
def test_a_limit_keeps_its_rate_among_clips_that_were_not_fitted(rate: float) -> None:
    """Of many data sets at most about one in twenty gives a limit that lets too many through."""
    broken = 0
    for seed in range(60):
        reals = np.random.default_rng(seed).normal(size=500)
        limit = fit_threshold("some", reals, [str(n) for n in range(500)], rate)
        assert limit.reached
        assert limit.upper <= rate
        assert limit.above == (reals >= limit.logit).sum()
        broken += (
            float(np.mean(np.random.default_rng(999).normal(size=200_000) >= limit.logit)) > rate
        )
    assert broken <= 7


@pytest.mark.parametrize(("count", "reached"), [(59, True), (58, False), (5, False)])
def test_too_few_clips_for_a_limit_are_said_in_one_sentence(count: int, reached: bool) -> None:
    reals = np.linspace(-3, 3, count)
    limit = fit_threshold("some", reals, [str(n) for n in range(count)], 0.05)
    assert limit.reached is reached
    assert limit.above == 0
    assert limit.logit > 3
    assert ("59 are needed" in limit.sentence) is not reached
    assert limit.sentence.count(". ") == 0
    assert limit.sentence.endswith(".")


@pytest.mark.parametrize("spread", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("count", [20, 100, 800])
def test_bands_rise_and_say_how_they_came_about(spread: float, count: int) -> None:
    random = np.random.default_rng(count)
    labels = np.arange(count) % 2
    logits = random.normal(3 * (labels - 0.5), spread)
    sources = [str(n // 2) for n in range(count)]
    bands, limits = fit_bands(labels, logits, sources)
    assert bands.calibrated
    assert all(low < high for low, high in itertools.pairwise(bands.starts.values()))
    assert [limit.band for limit in limits] == ["inconclusive", "some", "strong"]
    assert (logits[labels == 1] < bands.inconclusive).mean() <= 0.05 + 1e-9
    assert limits[1].low <= limits[1].high
    assert fit_bands(labels, logits, sources) == (bands, limits)


def test_bands_are_found_without_manipulated_clips() -> None:
    bands, _ = fit_bands(
        np.zeros(400, dtype=np.int64), np.linspace(-4, 4, 400), [str(n) for n in range(400)]
    )
    assert bands.inconclusive < bands.some < bands.strong

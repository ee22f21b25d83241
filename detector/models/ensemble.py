"""The arithmetic of the ensemble: temperatures, shares, their weighted mean, and the score.

A network's logit is divided by its temperature (Guo et al. 2017, "On calibration of modern neural
networks"); the ensemble's logit is the mean of these, weighted by each network's share; the score
is its sigmoid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Floating = TypeVar("Floating", bound=np.floating[Any])


class Weighted(Protocol):
    """A network with a place in an ensemble: an installed one, or one that a result names."""

    @property
    def name(self) -> str:
        """As the ensemble and a result call the network."""

    @property
    def weight(self) -> float:
        """Its share of the score, [0, 1]."""

    @property
    def temperature(self) -> float:
        """What its logit is divided by."""


def calibrated(networks: Iterable[Weighted], logits: Mapping[str, Any]) -> dict[str, Any]:
    """Divide each network's logit by its temperature.

    Args:
        networks: those that scored; a temperature of 1 is taken where one is missing.
        logits: of each network by name, floats or arrays of any shape.
    """
    temperatures = {network.name: network.temperature for network in networks}
    return {name: logit / temperatures.get(name, 1.0) for name, logit in logits.items()}


def weighted_mean(networks: Iterable[Weighted], logits: Mapping[str, Any]) -> Any:
    """Return the ensemble's calibrated logit from each network's own.

    Args:
        networks: all that have a share; `logits` holds each of them.
        logits: before calibration, arrays of one shape or floats.
    """
    networks = tuple(networks)
    total = sum(network.weight for network in networks)
    mixed = sum(network.weight / network.temperature * logits[network.name] for network in networks)
    return mixed / total


def factors(networks: Iterable[Weighted]) -> dict[str, float]:
    """Return what each network's logit is multiplied by in the ensemble's logit."""
    networks = tuple(networks)
    total = sum(network.weight for network in networks)
    return {network.name: network.weight / total / network.temperature for network in networks}


def sigmoid(logits: NDArray[Floating]) -> NDArray[Floating]:
    """Return scores in [0, 1] of logits, of their shape and dtype; no logit overflows."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -80, 80))), dtype=logits.dtype)


def probability(logit: float) -> float:
    """Return the score of one logit, [0, 1]."""
    return float(sigmoid(np.array(logit, np.float64)))

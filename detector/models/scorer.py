"""Face crops to logits: one interface, whichever engine computes them.

`detector.openvino_scoring` and `detector.torch_scoring` hold the engines, `detector.backends`
the choice between them.

Paper, "Pipeline": a ResNet and an Xception, used as an ensemble, score the face crops.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from detector.backends import Backend, check_name, choose
from detector.errors import BackendError, ModelError, OutOfMemory
from detector.result import Model
from detector.weights import EnsembleSpec, read_ensemble

Crops = NDArray[np.uint8]
Logits = NDArray[np.float32]

BATCH = 8  # crops of 304 px that one pass takes on a CPU; more gains nothing


class Scorer(Protocol):
    """The installed networks, ready to score; safe to share between threads."""

    ensemble: EnsembleSpec
    backend: str
    device: str
    precision: str
    batch: int

    def logits(self, crops: Crops) -> dict[str, Logits]:
        """Each network's logits, before calibration.

        Args:
            crops: RGB uint8 [n, s, s, 3] with s = `ensemble.crop_size`.

        Returns:
            float32 [n] for each network's name, positive = manipulated.
        """
        ...


def load_scorer(backend: Backend = "auto", ensemble: EnsembleSpec | None = None) -> Scorer:
    """The fastest scorer this machine offers, or the one asked for.

    Where "auto" finds that its first choice does not start, it goes on to the next.

    Raises:
        ModelError: weights are missing or altered, or the backend cannot start.
    """
    check_name(backend)
    ensemble = ensemble or read_ensemble()
    if backend != "auto":
        return _load(backend, ensemble)
    first = choose(ensemble)
    others: tuple[Backend, ...] = ("openvino-f32", "torch-cpu")
    for name in (first, *(other for other in others if other != first)):
        try:
            return _load(name, ensemble)
        except BackendError as error:
            logging.getLogger("veriframe").warning("%s", error)
            refused = error
    raise refused


def _load(backend: Backend, ensemble: EnsembleSpec) -> Scorer:
    if backend.startswith("torch"):
        from detector.torch_scoring import TorchScorer

        return TorchScorer(ensemble, "cuda" if backend == "torch-cuda" else "cpu")
    from detector.openvino_scoring import OpenVinoScorer

    return OpenVinoScorer(ensemble, backend.removeprefix("openvino-"))


def combine(ensemble: EnsembleSpec, logits: Mapping[str, Logits]) -> Logits:
    """The ensemble's calibrated logits float32 [n]: weighted mean of logit / temperature."""
    total = sum(network.weight for network in ensemble.networks)
    mixed = sum(
        network.weight / network.temperature * logits[network.name].astype(np.float64)
        for network in ensemble.networks
    )
    return np.asarray(mixed / total, dtype=np.float32)


def probability(logit: float) -> float:
    """Sigmoid of a logit, [0, 1]."""
    return float(1 / (1 + np.exp(-np.clip(logit, -80, 80))))


def describe(scorer: Scorer) -> tuple[Model, ...]:
    """The networks of a scorer, as a result names them."""
    return tuple(
        Model(
            name=network.name,
            version=network.version,
            sha256=network.sha256,
            input_size=network.input_size,
            weight=network.weight,
            temperature=network.temperature,
            backend=scorer.backend,
            device=scorer.device,
            precision=scorer.precision,
            quantized_sha256=network.int8.sha256
            if scorer.precision == "int8" and network.int8
            else None,
        )
        for network in scorer.ensemble.networks
    )


def in_batches(forward: Callable[[Crops], Logits], crops: Crops, size: int) -> Logits:
    """`forward` over batches of at most `size` crops; halves a batch that memory is short for.

    Args:
        forward: logits float32 [n] of contiguous crops uint8 [n, s, s, 3]; raises
            OutOfMemory where there is too little memory for them.
        crops: uint8 [n, s, s, 3].
        size: crops that one pass takes, at least 1.

    Raises:
        ModelError: not even one crop fits into memory.
    """
    parts, start = [], 0
    while start < len(crops):
        batch = np.ascontiguousarray(crops[start : start + size])
        try:
            parts.append(forward(batch))
        except (OutOfMemory, MemoryError) as error:
            if len(batch) == 1:
                raise ModelError(
                    "There is too little free memory to score even one face; close other programs "
                    "and try again."
                ) from error
            size = len(batch) // 2
            continue
        start += len(batch)
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)

"""Face crops to logits: one interface, whichever engine computes them.

`openvino_scorer` and `torch_scorer` beside this file hold the engines, `backends` the choice
between them.

Paper, "Pipeline": a ResNet and an Xception, used as an ensemble, score the face crops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from detector.errors import ModelError, OutOfMemory
from detector.models.ensemble import weighted_mean
from detector.models.spec import EnsembleSpec

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
        """Return each network's logits, before calibration.

        Args:
            crops: RGB uint8 [n, s, s, 3] with s = `ensemble.crop_size`.

        Returns:
            float32 [n] for each network's name, positive = manipulated.
        """
        ...


def combine(ensemble: EnsembleSpec, logits: Mapping[str, Logits]) -> Logits:
    """Return the ensemble's calibrated logits, float32 [n]."""
    exact = {name: values.astype(np.float64) for name, values in logits.items()}
    return np.asarray(weighted_mean(ensemble.networks, exact), dtype=np.float32)


def in_batches(forward: Callable[[Crops], Logits], crops: Crops, size: int) -> Logits:
    """Apply `forward` to batches of at most `size` crops; halve one that memory is short for.

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


@dataclass(frozen=True)
class FaceScore:
    """What the networks say of one face.

    Attributes:
        logits: of each network, positive = manipulated, before calibration.
        logit: of the ensemble, calibrated.
    """

    logits: Mapping[str, float]
    logit: float


def face_scores(ensemble: EnsembleSpec, logits: Mapping[str, Logits]) -> list[FaceScore]:
    """Return what each face comes to, from float32 [n] of each network."""
    mixed = combine(ensemble, logits)
    return [
        FaceScore({name: float(values[place]) for name, values in logits.items()}, float(logit))
        for place, logit in enumerate(mixed)
    ]

"""Does the int8 ensemble say what the float32 ensemble says?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detector.analysis.engine import Engine
from detector.analysis.scan import scan
from detector.errors import ModelError
from detector.files import ASSETS
from detector.models.scorer import Crops, Scorer, combine
from detector.samples import samples
from detector.settings import Settings

ALLOWED_LOSS = 0.005  # of the AUC


@dataclass(frozen=True)
class SampleAgreement:
    """One shipped clip scored twice.

    Attributes:
        name: file name of the sample.
        band, band_int8: of the finding in float32 and in int8; None where it is not judged.
        mean, most: absolute difference of the ensemble's logit over its faces; None without.
    """

    name: str
    band: str | None
    band_int8: str | None
    mean: float | None
    most: float | None


@dataclass(frozen=True)
class NetworkAgreement:
    """One network on labelled crops; frame level.

    Attributes:
        mean, most: absolute difference of logits.
        auc, auc_int8: area under the ROC curve in float32 and in int8.
    """

    mean: float
    most: float
    auc: float
    auc_int8: float


@dataclass(frozen=True)
class Quantization:
    """How the int8 models were built, and how they agree with float32.

    Attributes:
        software: versions of Veriframe, OpenVINO and NNCF.
        weights: SHA-256 of the weights by network.
        models: SHA-256 of the int8 models by network.
        kept_in_float: convolutions and dense layers that stay in float32, by network.
        restored: True where NNCF's accuracy control had to take further layers back.
        crops: number of calibration crops; `fingerprint` is the SHA-256 of their pixels.
        samples: agreement on every shipped clip.
        data: name and split of the labelled crops; None where none were given.
        checked: number of those crops.
        networks: agreement on them, by network and for "ensemble".
    """

    software: dict[str, str]
    weights: dict[str, str]
    models: dict[str, str]
    kept_in_float: dict[str, int]
    restored: dict[str, bool]
    crops: int
    fingerprint: str
    samples: tuple[SampleAgreement, ...]
    data: str | None
    checked: int
    networks: dict[str, NetworkAgreement]


def agreement(
    full: Scorer, quick: Scorer, crops: Crops, labels: Any
) -> dict[str, NetworkAgreement]:
    """Return each network and the "ensemble" on labelled crops, in float32 and in int8."""
    from sklearn.metrics import roc_auc_score

    one, other = full.logits(crops), quick.logits(crops)
    one["ensemble"], other["ensemble"] = (
        combine(scorer.ensemble, logits) for scorer, logits in ((full, one), (quick, other))
    )
    return {
        name: NetworkAgreement(
            mean=float(np.abs(one[name] - other[name]).mean()),
            most=float(np.abs(one[name] - other[name]).max()),
            auc=float(roc_auc_score(labels, one[name])),
            auc_int8=float(roc_auc_score(labels, other[name])),
        )
        for name in one
    }


def agreement_on_samples(full: Scorer, quick: Scorer) -> Iterable[SampleAgreement]:
    """Analyse every shipped clip and portrait with both."""
    one, other = _Installed(full), _Installed(quick)
    for path in sample_files():
        first, second = (scan(path, Settings(frames=8), engine) for engine in (one, other))
        gaps = [
            abs(a.logit - b.logit)
            for frame, again in zip(first.frames, second.frames, strict=True)
            for a, b in zip(frame.faces, again.faces, strict=True)
        ]
        yield SampleAgreement(
            path.name,
            first.finding.band,
            second.finding.band,
            float(np.mean(gaps)) if gaps else None,
            max(gaps, default=None),
        )


def refuse_if_worse(report: Quantization) -> None:
    """Raise ModelError where int8 changes a sample's band or loses more AUC than allowed."""
    for sample in report.samples:
        if sample.band != sample.band_int8:
            raise ModelError(
                f"In int8 {sample.name} would change from {sample.band} to {sample.band_int8}; the "
                "models stay as they are: calibrate on more data with --data."
            )
    for name, found in report.networks.items():
        if found.auc - found.auc_int8 > ALLOWED_LOSS:
            raise ModelError(
                f"In int8 {name} would lose {found.auc - found.auc_int8:.4f} of its AUC, more than "
                f"{ALLOWED_LOSS}; the models stay as they are: calibrate on more data with --data."
            )


class _Installed(Engine):
    """An engine with one scorer."""

    def __init__(self, scorer: Scorer) -> None:
        super().__init__()
        self._given = scorer

    def load(self, backend: Any, models: str = "") -> Scorer:
        return self._given


def sample_files() -> list[Path]:
    portraits = sorted((ASSETS / "samples" / "portraits").iterdir())
    return [sample.path for sample in samples()] + portraits

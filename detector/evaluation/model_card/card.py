"""The model card: what the networks are, and everything that was measured of them.

Gathered from the installed weights and the JSON files that the commands write. A file that is
missing, damaged, or of other weights is left out, and one sentence says so.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from detector.errors import DetectorError, EvaluationError, ModelError
from detector.evaluation.model_card import text
from detector.evaluation.result import (
    MODEL_CARD,
    VERSION,
    Abstention,
    Calibration,
    Evaluation,
    Robustness,
    Run,
    read,
)
from detector.files import MODELS
from detector.models.spec import EnsembleSpec, NetworkSpec, read_ensemble
from detector.result import BandThresholds
from detector.typed_json import adapter
from detector.version import __version__

Part = TypeVar("Part")

COMMANDS = {
    "evaluation.json": "evaluate DATA --out assets/model_card/evaluation.json",
    "robustness.json": "evaluate DATA --robustness assets/model_card/robustness.json",
    "abstention.json": "evaluate DATA --robustness --abstention assets/model_card/abstention.json",
    "calibration.json": "calibrate DATA",
    "quantization.json": "quantize",
    "failures.json": "failures",
    "groups.json": "evaluate TABLE --out assets/model_card/groups.json",
}


@dataclass(frozen=True)
class Network:
    """A trained network, as its file describes itself.

    Attributes:
        name, version, sha256, architecture, input_size: as in `NetworkSpec`.
        weight, temperature: in the ensemble.
        int8_sha256: of its int8 model; None without one.
        head: the dense layers.
        trained_on: the data, in words.
        recipe: how it was trained.
        initial: what training began from.
        date: of training, as written in the file.
    """

    name: str
    version: str
    sha256: str
    architecture: str
    input_size: int
    weight: float
    temperature: float
    int8_sha256: str | None
    head: str
    trained_on: str
    recipe: str
    initial: str
    date: str


@dataclass(frozen=True)
class SampleAgreement:
    """A sample in float32 and in int8: bands, and mean and largest difference of the logit."""

    name: str
    band: str | None
    band_int8: str | None
    mean: float | None
    most: float | None


@dataclass(frozen=True)
class NetworkAgreement:
    """A network in float32 and in int8 on labelled crops, frame level."""

    mean: float
    most: float
    auc: float
    auc_int8: float


@dataclass(frozen=True)
class Int8:
    """What `quantize` found: how the int8 models agree with float32."""

    software: dict[str, str]
    weights: dict[str, str]
    models: dict[str, str]
    samples: tuple[SampleAgreement, ...]
    data: str | None
    checked: int
    networks: dict[str, NetworkAgreement]


@dataclass(frozen=True)
class ModelCard:
    """Everything that the page shows and the downloads hold.

    Attributes:
        software: Veriframe's version.
        ensemble: version of the ensemble.
        networks: in the order of their names.
        bands, calibrated, note, aggregation: as in `EnsembleSpec`.
        evaluation, robustness, abstention, calibration, int8, failures: what was measured; None
            where `missing` says why not.
        groups: an evaluation whose data sets are groups of people, where somebody made one.
        missing: one sentence for each part that is not there.
    """

    software: str
    ensemble: str
    networks: tuple[Network, ...]
    bands: BandThresholds
    calibrated: bool
    note: str
    aggregation: str
    evaluation: Evaluation | None
    robustness: Robustness | None
    abstention: Abstention | None
    calibration: Calibration | None
    int8: Int8 | None
    failures: Any  # Failures, whose module needs the networks' pipeline
    groups: Evaluation | None
    missing: tuple[str, ...]


def gather(folder: Path = MODEL_CARD, models: Path = MODELS) -> ModelCard:
    """Gather the card of the models in `models`, with what the files in `folder` say of them.

    Raises:
        ModelError: the weights themselves are not there.
    """
    from detector.evaluation.known_failures import Failures

    missing: list[str] = []
    refused = False
    try:
        ensemble = read_ensemble(models / "ensemble.json")
    except ModelError as error:
        ensemble = read_ensemble(models / "ensemble.json", calibrated=False)
        missing.append(f"The calibration is left out: {error}")
        refused = True

    def part(kind: type[Part], path: Path, run: Callable[[Part], Run]) -> Part | None:
        try:
            found = read(kind, path)
        except EvaluationError as error:
            missing.append(_unreadable(path, error))
            return None
        reason = stale(run(found), ensemble)
        if reason is not None:
            missing.append(_sentence(path, reason))
            return None
        return found

    evaluation = part(Evaluation, folder / "evaluation.json", lambda one: one.run)
    robustness = part(Robustness, folder / "robustness.json", lambda one: one.run)
    abstention = part(Abstention, folder / "abstention.json", lambda one: one.run)
    calibration = None
    if ensemble.bands.calibrated:
        calibration = part(Calibration, models / "calibration.json", lambda one: one.run)
    elif not refused:
        missing.append(
            "The models are not calibrated: temperatures and limits of the bands are provisional."
        )
    failures = part(Failures, folder / "failures.json", lambda one: one.run)
    groups = folder / "groups.json"
    return ModelCard(
        software=__version__,
        ensemble=ensemble.version,
        networks=tuple(_network(spec) for spec in ensemble.networks),
        bands=ensemble.bands,
        calibrated=ensemble.bands.calibrated,
        note=ensemble.bands.note,
        aggregation=ensemble.aggregation,
        evaluation=evaluation,
        robustness=robustness,
        abstention=abstention,
        calibration=calibration,
        int8=_int8(folder / "quantization.json", ensemble, missing),
        failures=failures,
        groups=part(Evaluation, groups, lambda one: one.run) if groups.exists() else None,
        missing=tuple(missing),
    )


def stale(run: Run, ensemble: EnsembleSpec) -> str | None:
    """Say why a measurement says nothing of these models; None where it is of them."""
    measured = {model.name: model for model in run.models}
    networks = {network.name: network for network in ensemble.networks}
    if {name: model.sha256 for name, model in measured.items()} != {
        name: network.sha256 for name, network in networks.items()
    }:
        return "of other weights than those installed"
    numbers = [
        (getattr(measured[name], field), getattr(networks[name], field))
        for name in networks
        for field in ("weight", "temperature")
    ]
    numbers += [
        (getattr(run.bands, band), getattr(ensemble.bands, band))
        for band in ("inconclusive", "some", "strong")
    ]
    if not all(math.isclose(one, other, abs_tol=1e-4) for one, other in numbers):
        return "of another calibration than the present one"
    return None


def to_json(card: ModelCard) -> str:
    """Write the whole card as JSON, with the texts that the page shows."""
    value = {
        "version": VERSION,
        **dataclasses.asdict(card),
        "intended_use": text.INTENDED,
        "misuse": text.MISUSE,
        "not_covered": text.NOT_COVERED,
        "licences": text.LICENCES,
        "groups_note": None if card.groups else text.NO_GROUPS,
    }
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _network(spec: NetworkSpec) -> Network:
    from safetensors import safe_open

    with safe_open(spec.path, framework="numpy") as header:
        meta: dict[str, str] = header.metadata() or {}
    return Network(
        name=spec.name,
        version=spec.version,
        sha256=spec.sha256,
        architecture=spec.architecture,
        input_size=spec.input_size,
        weight=spec.weight,
        temperature=spec.temperature,
        int8_sha256=spec.int8.sha256 if spec.int8 else None,
        head=meta.get("head", ""),
        trained_on=meta.get("trained_on", ""),
        recipe=meta.get("recipe", ""),
        initial=meta.get("init", ""),
        date=meta.get("date", ""),
    )


def _int8(path: Path, ensemble: EnsembleSpec, missing: list[str]) -> Int8 | None:
    try:
        found = adapter(Int8).validate_json(path.read_bytes())
    except (OSError, ValueError):
        missing.append(_unreadable(path, None))
        return None
    if found.weights != {network.name: network.sha256 for network in ensemble.networks}:
        missing.append(_sentence(path, "of other weights than those installed"))
        return None
    return found


def _unreadable(path: Path, error: DetectorError | None) -> str:
    if error is not None and "newer" in str(error):
        return f"{path.name} is left out: {error}"
    return _sentence(path, "damaged" if path.exists() else "not there")


def _sentence(path: Path, reason: str) -> str:
    return (
        f"{path.name} is {reason}, so what it holds is left out here; "
        f"`python -m detector {COMMANDS[path.name]}` writes it."
    )

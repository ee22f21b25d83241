"""Which networks are installed: their files, hashes, input and ensemble weights (no torch here).

`assets/models/ensemble.json` lists the networks; each `.safetensors` file carries its own
input size, mean and standard deviation in its metadata, so that code never assumes them. Where
its `calibration` names a file that `python -m detector calibrate` wrote, temperatures, weights,
bands and aggregation come from there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from detector.errors import ModelError
from detector.files import MODELS
from detector.result import BandThresholds

Aggregation = Literal["median", "mean", "trimmed-mean", "top-k"]


@dataclass(frozen=True)
class QuantizedSpec:
    """The int8 model of a network, built from its weights by `detector.evaluation.quantization`.

    Attributes:
        path: OpenVINO's `.xml`; its weights lie beside it as `.bin`.
        sha256: of the `.xml` followed by the `.bin`, hex.
        of: SHA-256 of the weights that it was built from, hex.
    """

    path: Path
    sha256: str
    of: str


@dataclass(frozen=True)
class NetworkSpec:
    """One trained network, described without loading it.

    Attributes:
        name: of a kind of network, such as "resnet50".
        path: the `.safetensors` file.
        sha256: hash of that file, hex; checked when the weights are loaded.
        architecture: the timm model that forms the trunk.
        version: version of the weights, as published.
        input_size: side of the square input, pixels.
        mean, std: RGB normalisation of inputs scaled to [0, 1].
        crop_factor: side of the crop / larger side of the face box.
        weight: share of this network's calibrated logit in the ensemble, [0, 1].
        temperature: the logit is divided by it; 1 until calibrated.
        int8: its int8 model, or None where none was built.
    """

    name: str
    path: Path
    sha256: str
    architecture: str
    version: str
    input_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    crop_factor: float
    weight: float
    temperature: float
    int8: QuantizedSpec | None = None


@dataclass(frozen=True)
class EnsembleSpec:
    """The networks, how their logits are averaged, and what the average means.

    Attributes:
        version: version of the ensemble.
        networks: in the order of their names.
        bands: where the bands begin, and where these thresholds come from.
        aggregation: how the logits of a track's frames become the track's own.
    """

    version: str
    networks: tuple[NetworkSpec, ...]
    bands: BandThresholds
    aggregation: Aggregation = "median"

    @property
    def crop_size(self) -> int:
        """Side in pixels of the face crops: the largest input any network takes."""
        return max(network.input_size for network in self.networks)

    @property
    def crop_factor(self) -> float:
        """Side of the crop / larger side of the face box, common to all networks."""
        return self.networks[0].crop_factor

    @property
    def leading(self) -> NetworkSpec:
        """The network with the largest share of the score."""
        return max(self.networks, key=lambda network: network.weight)

    def network(self, name: str) -> NetworkSpec:
        """Return the network called `name`; raises ModelError where there is none."""
        for network in self.networks:
            if network.name == name:
                return network
        known = ", ".join(network.name for network in self.networks)
        raise ModelError(f"There is no network called {name!r}; choose one of: {known}.")


def read_ensemble(
    path: Path = MODELS / "ensemble.json", *, calibrated: bool = True
) -> EnsembleSpec:
    """Read the ensemble that `path` describes; the weights themselves are not loaded.

    Args:
        path: `ensemble.json`.
        calibrated: with the numbers of the calibration that it names; False for its own.

    Raises:
        ModelError: the file, or a network it names, is missing or unreadable, or the calibration
            it names was fitted on other weights.
    """
    from safetensors import SafetensorError, safe_open

    try:
        entry = json.loads(path.read_text())
        if not calibrated:
            entry["calibration"] = None
        if entry["calibration"] is not None:
            entry = _calibrated(entry, path.parent / entry["calibration"])
        networks = []
        for name, network in sorted(entry["networks"].items()):
            file = path.parent / network["file"]
            with safe_open(file, framework="numpy") as header:
                meta = header.metadata()
            networks.append(
                NetworkSpec(
                    name=name,
                    path=file,
                    sha256=network["sha256"],
                    architecture=meta["arch"],
                    version=meta["version"],
                    input_size=int(meta["input_size"]),
                    mean=_triple(meta["mean"]),
                    std=_triple(meta["std"]),
                    crop_factor=float(meta["crop_factor"]),
                    weight=float(network["weight"]),
                    temperature=float(network["temperature"]),
                    int8=_quantized(path.parent, network.get("int8")),
                )
            )
        ensemble = EnsembleSpec(
            version=entry["version"],
            networks=tuple(networks),
            bands=BandThresholds(
                **entry["bands"], calibrated=entry["calibration"] is not None, note=entry["note"]
            ),
            aggregation=entry.get("aggregation", "median"),
        )
        if ensemble.aggregation not in get_args(Aggregation):
            raise ValueError(f"no aggregation {ensemble.aggregation!r}")
    except (
        OSError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        SafetensorError,
    ) as error:
        raise ModelError(
            f"The models in {path.parent} cannot be read ({error}); "
            "restore assets/models from the repository."
        ) from error
    if len({network.crop_factor for network in networks}) != 1:
        raise ModelError(
            f"The networks in {path} want crops of different width; "
            "install networks with one crop_factor."
        )
    return ensemble


def _calibrated(entry: dict[str, Any], file: Path) -> dict[str, Any]:
    """Return the entry of `ensemble.json` with the numbers of the calibration in `file`."""
    found = json.loads(file.read_text(encoding="utf-8"))
    fitted = {model["name"]: model for model in found["run"]["models"]}
    installed = {name: network["sha256"] for name, network in entry["networks"].items()}
    if {name: model["sha256"] for name, model in fitted.items()} != installed:
        raise ModelError(
            f"{file.name} was fitted on other weights than those installed; calibrate again with "
            "`python -m detector calibrate`, or set calibration to null in ensemble.json."
        )
    networks = {
        name: network
        | {"weight": fitted[name]["weight"], "temperature": fitted[name]["temperature"]}
        for name, network in entry["networks"].items()
    }
    bands = {name: found["run"]["bands"][name] for name in ("inconclusive", "some", "strong")}
    return entry | {
        "networks": networks,
        "bands": bands,
        "note": found["note"],
        "aggregation": found["aggregation"],
    }


def _quantized(folder: Path, entry: dict[str, str] | None) -> QuantizedSpec | None:
    if entry is None:
        return None
    return QuantizedSpec(folder / entry["file"], entry["sha256"], entry["of"])


def _triple(text: str) -> tuple[float, float, float]:
    red, green, blue = (float(part) for part in text.split(","))
    return red, green, blue

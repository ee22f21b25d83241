"""Publish a run: its history to `assets/training`, and its weights to `assets/models`.

Weights replace the installed ones only when they are better on the data's test split, which no
run ever trains on or selects by.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from detector.datasets.table import Table
from detector.errors import TrainingError
from detector.files import ASSETS, MODELS, atomic_write, sha256_of
from detector.models.face_network import FaceNetwork, load_network
from detector.models.networks.registry import NETWORKS
from detector.models.spec import NetworkSpec, read_ensemble
from detector.training.clips import ClipReader, clips_of, prepare
from detector.training.history import Scores, read_history, write_history
from detector.training.losses import focal_loss
from detector.training.module import SplitMetrics
from detector.training.presets import TrainConfig
from detector.training.runs import HISTORY, load_run

TRAINING = ASSETS / "training"
CARD = "published.json"


@dataclass(frozen=True)
class Comparison:
    """A run against the installed network, both on the test split.

    Attributes:
        run: scores of the run's best epoch.
        installed: scores of the network that is installed under that name, None without one.
        clips: how many test clips.
    """

    run: Scores
    installed: Scores | None
    clips: int

    @property
    def better(self) -> bool:
        """Whether the run has the higher AUC."""
        if self.installed is None or self.installed.auc is None:
            return True
        return (self.run.auc or 0.0) > self.installed.auc


def publish_history(run: Path, name: str | None = None, training: Path = TRAINING) -> Path:
    """Copy the history of a finished run; returns the file.

    Raises:
        TrainingError: the run is not finished, or another run has that name there.
    """
    history = read_history(run / HISTORY)
    if not history.finished:
        raise TrainingError(f"The run {history.name!r} is not finished; resume it, then publish.")
    target = training / f"{name or history.name}.jsonl"
    if target.exists() and read_history(target).started != history.started:
        raise TrainingError(
            f"{target.name} is the history of another run; publish under another --history-name."
        )
    write_history(target, replace(history, name=name or history.name))
    return target


def compare(run: Path, table: Table, models: Path = MODELS) -> Comparison:
    """Score the run and the installed network of its kind on the test split."""
    network, history = load_run(run)
    config = _config(history.config)
    clips = clips_of(table, "test")
    if len({clip.label for clip in clips}) < 2:
        raise TrainingError(
            "The data has no test clips of both classes; index it with a test split."
        )
    mine = score(network, config, table)
    spec = _installed(config.network, models)
    theirs = None
    if spec is not None:
        theirs = score(
            load_network(spec),
            replace(config, input_size=spec.input_size, crop_factor=spec.crop_factor),
            table,
            spec,
        )
    return Comparison(mine, theirs, len(clips))


def score(
    network: FaceNetwork, config: TrainConfig, table: Table, spec: NetworkSpec | None = None
) -> Scores:
    """Measure a network on the test split, clip by clip, on unaltered views.

    Args:
        network: in evaluation mode.
        config: its input and frames a clip.
        table: crops with splits.
        spec: normalisation, where it is not the configuration's own.
    """
    clips = clips_of(table, "test")
    most = max(len(clip.paths) for clip in clips)
    config = replace(config, frames=min(config.frames, most))
    reader = ClipReader(table.root, clips, config, {}, training=False)
    mean = torch.tensor(spec.mean if spec else config.mean).view(1, 3, 1, 1)
    std = torch.tensor(spec.std if spec else config.std).view(1, 3, 1, 1)
    metrics = SplitMetrics()
    loader = torch.utils.data.DataLoader(reader, batch_size=32)
    device = next(network.parameters()).device
    with torch.no_grad():
        for batch in loader:
            ready = prepare(batch, config, training=False)
            count, frames = ready.views.shape[:2]
            images = ((ready.views.flatten(0, 1) - mean) / std).to(device)
            logits = network(images).view(count, frames).mean(dim=1).cpu()
            kept = ready.weights > 0
            logits, labels = logits[kept], ready.labels[kept]
            metrics.update(logits, labels, focal_loss(logits, labels, config.gamma, config.alpha))
    return metrics.compute()


def publish_weights(
    run: Path,
    table: Table,
    version: str,
    *,
    trained_on: str = "",
    models: Path = MODELS,
    training: Path = TRAINING,
    force: bool = False,
) -> Comparison:
    """Install the weights of a run's best epoch, with metadata, hash and date.

    `assets/models` gets the `.safetensors` file, its hash in `ensemble.json` (whose calibration
    is dropped, because it was the old network's) and an entry in `published.json`, the model
    card's data; `assets/training` gets the history.

    Args:
        run: folder of a finished run.
        table: the data it was trained on, with its test split.
        version: of the weights, such as "v1".
        trained_on: the data in words, for the model card.
        models, training: where to.
        force: install also when the installed weights are better.

    Raises:
        TrainingError: the run is not finished, was trained on other data, or is not better.
    """
    network, history = load_run(run)
    config = _config(history.config)
    if not history.finished:
        raise TrainingError(f"The run {history.name!r} is not finished; resume it, then publish.")
    if history.data.get("fingerprint") != table.fingerprint:
        raise TrainingError(
            f"The run {history.name!r} was trained on other data, so its test clips may have been "
            "seen; name the data that it was trained on."
        )
    result = compare(run, table, models)
    if not result.better and not force:
        assert result.installed is not None
        raise TrainingError(
            f"The installed {config.network} is better on the test split (AUC "
            f"{result.installed.auc:.3f}, this run {result.run.auc or 0:.3f}); nothing was changed."
        )
    date = datetime.now(UTC).date().isoformat()
    metadata = {
        "arch": NETWORKS[config.network].trunk,
        "version": version,
        "date": date,
        "input_size": str(config.input_size),
        "mean": ",".join(f"{value:g}" for value in config.mean),
        "std": ",".join(f"{value:g}" for value in config.std),
        "crop_factor": f"{config.crop_factor:g}",
        "positive": "manipulated",
        "recipe": f"preset {config.preset}, focal gamma {config.gamma:g}, "
        f"AdamW {config.learning_rate:g} {config.schedule}, {config.epochs} epochs, "
        f"{config.frames} frames, batch {config.batch}",
        "trained_on": trained_on or f"data {table.fingerprint}",
        "init": config.init or "random",
        "run": history.name,
        "commit": history.commit,
    }
    file = models / f"{config.network}.safetensors"
    state = {
        key: (value.half() if value.is_floating_point() else value).contiguous()
        for key, value in network.state_dict().items()
    }
    ensemble = json.loads((models / "ensemble.json").read_text(encoding="utf-8"))
    with atomic_write(file) as draft:
        save_file(state, draft, metadata)
    sha256 = sha256_of(file)
    entry = {
        **metadata,
        "sha256": sha256,
        "data": history.data,
        "hardware": history.hardware,
        "test_clips": result.clips,
        "test": asdict(result.run),
        "replaced": asdict(result.installed) if result.installed else None,
    }
    slot = ensemble["networks"].setdefault(
        config.network, {"file": file.name, "weight": 0.0, "temperature": 1.0}
    )
    slot.update(file=file.name, sha256=sha256, temperature=1.0)
    ensemble["calibration"] = None
    _write_json(models / "ensemble.json", ensemble)
    card = models / CARD
    published = json.loads(card.read_text(encoding="utf-8")) if card.exists() else {}
    published[config.network] = entry
    _write_json(card, published)
    publish_history(run, training=training)
    return result


def publish_summary(summary: Path, training: Path = TRAINING) -> Path:
    """Copy a `.folds.json` or `.tuning.json`, and the histories of its runs beside it."""
    name = summary.name.split(".")[0]
    training.mkdir(parents=True, exist_ok=True)
    target = training / summary.name
    shutil.copyfile(summary, target)
    for run in sorted(summary.parent.glob("*/" + HISTORY)):
        write_history(training / name / f"{run.parent.name}.jsonl", read_history(run))
    return target


def _installed(name: str, models: Path) -> NetworkSpec | None:
    for spec in read_ensemble(models / "ensemble.json").networks:
        if spec.name == name:
            return spec
    return None


def _config(settings: dict[str, Any]) -> TrainConfig:
    return TrainConfig(**settings)


def _write_json(path: Path, value: Any) -> None:
    with atomic_write(path) as draft:
        draft.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")

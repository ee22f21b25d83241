"""One training run: its folder, its history, its checkpoints; resumed where it stopped.

A run's folder holds `history.jsonl`, `best.ckpt` (weights of the epoch with the lowest
validation loss) and, until the run is finished, `last.ckpt` (everything needed to go on).
"""

from __future__ import annotations

import functools
import logging
import os
import platform
import subprocess
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from numpy.typing import NDArray
from pytorch_lightning.callbacks import EMAWeightAveraging, ModelCheckpoint
from pytorch_lightning.utilities import rank_zero_only

from detector.datasets.table import Table
from detector.errors import TrainingError
from detector.models.face_network import FaceNetwork
from detector.training.callbacks import HistoryWriter, InputMeter
from detector.training.clips import ClipData
from detector.training.history import EpochRow, History, append_line, read_history, write_history
from detector.training.module import ClipTrainer
from detector.training.presets import TrainConfig

HISTORY, BEST, LAST = "history.jsonl", "best.ckpt", "last.ckpt"
QUIET = ("pytorch_lightning.utilities.rank_zero", "pytorch_lightning.accelerators.cuda")


@dataclass(frozen=True)
class Machine:
    """Where a run runs: Lightning's own names.

    Attributes:
        accelerator: "auto", "cpu" or "gpu".
        devices: how many, or "auto".
        nodes: machines of a multi-node run.
        strategy: "auto", "ddp", "fsdp" and so on.
        threads: CPU threads of each process, 0 = PyTorch's choice.
    """

    accelerator: str = "auto"
    devices: int | str = "auto"
    nodes: int = 1
    strategy: str = "auto"
    threads: int = 0


@dataclass(frozen=True)
class Run:
    """A run that came to its end."""

    folder: Path
    history: History


def train_run(
    config: TrainConfig,
    table: Table,
    hulls: dict[str, NDArray[np.float32]],
    folder: Path,
    *,
    module: ClipTrainer | None = None,
    machine: Machine | None = None,
    resume: bool = False,
    keep_weights: bool = True,
    callbacks: Sequence[lightning.Callback] = (),
    progress: Callable[[EpochRow], None] | None = None,
    note: str = "",
    stop_after: int = 0,
) -> Run:
    """Train, and write the history as it goes.

    Args:
        config: settings.
        table: crops with splits.
        hulls: file name -> hulls, for self-blending.
        folder: of this run; made here.
        module: what is trained, by default a `ClipTrainer`.
        machine: where it runs.
        resume: go on from `last.ckpt` where the folder has one; otherwise the folder must hold
            no history.
        keep_weights: write checkpoints.
        callbacks: more of them, such as Optuna's pruning.
        progress: called with each epoch's row.
        note: one sentence that readers of the history must know.
        stop_after: stop before the end, after so many epochs, as if the run had been killed.

    Raises:
        TrainingError: the data cannot be trained on, or the folder holds another run.
    """
    _silence()
    machine = machine or Machine()
    if machine.threads:
        torch.set_num_threads(machine.threads)
    path = folder / HISTORY
    last = folder / LAST
    # Lightning starts the other processes of a run with the same command, a little later.
    first = getattr(rank_zero_only, "rank", 0) == 0
    if first and path.exists() and not resume:
        raise TrainingError(
            f"{folder} already holds a run; go on with it by --resume, or choose another --name."
        )
    data = ClipData(table, config, hulls)
    lightning.seed_everything(config.seed, verbose=False)
    module = module or ClipTrainer(config)
    go_on = resume and last.exists()
    before = 0.0
    if first and path.exists():
        earlier = read_history(path)
        _check_same(earlier, config, table)
        if earlier.finished:
            return Run(folder, earlier)
        done = _epochs_in(last) if go_on else 0
        # Lines of epochs that no checkpoint holds are trained, and written, again.
        rows = tuple(row for row in earlier.rows if row.epoch <= done)
        before = rows[-1].seconds if rows else 0.0
        write_history(path, replace(earlier, rows=rows))
    elif first:
        write_history(path, _first_line(config, table, data, machine, note))
    meter = InputMeter()
    data.meter = meter
    writer = HistoryWriter(path, before, meter, progress)
    all_callbacks: list[lightning.Callback] = [meter, writer, *callbacks]
    if config.ema > 0:
        all_callbacks.append(EMAWeightAveraging(decay=config.ema))
    if keep_weights:
        all_callbacks += _checkpoints(folder, config.ema > 0)
    if stop_after:
        all_callbacks.append(_StopAfter(stop_after))
    trainer = _trainer(config, machine, all_callbacks, folder, keep_weights)
    try:
        trainer.fit(module, datamodule=data, ckpt_path=last if go_on else None, weights_only=True)
    except SystemExit:  # Lightning's answer to Ctrl+C
        done = len(read_history(path).rows)
        raise TrainingError(
            f"The run was stopped after {done} epochs; go on with it by --resume."
        ) from None
    if trainer.is_global_zero and not stop_after:
        _finish(path, writer.seconds, pruned=trainer.should_stop)
        last.unlink(missing_ok=True)
    return Run(folder, read_history(path))


def load_run(folder: Path) -> tuple[FaceNetwork, History]:
    """Load the network of a run's best epoch, in evaluation mode, and the run's history.

    Raises:
        TrainingError: the folder holds no finished checkpoint.
    """
    history = read_history(folder / HISTORY)
    try:
        state = _checkpoint(folder / BEST)["state_dict"]
        network = FaceNetwork(history.config["network"])
        prefix = "network."
        network.load_state_dict(
            {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
        )
    except (OSError, KeyError, RuntimeError) as error:
        raise TrainingError(f"{folder} holds no weights of a run; train it first.") from error
    return network.eval(), history


def _trainer(
    config: TrainConfig,
    machine: Machine,
    callbacks: list[lightning.Callback],
    folder: Path,
    keep_weights: bool,
) -> lightning.Trainer:
    return lightning.Trainer(
        accelerator=machine.accelerator,
        devices=machine.devices,
        num_nodes=machine.nodes,
        strategy=machine.strategy,
        precision=config.precision,  # type: ignore[arg-type]
        max_epochs=config.epochs,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=keep_weights,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        gradient_clip_val=1.0,
        default_root_dir=folder,
    )


def _finish(path: Path, seconds: float, pruned: bool) -> None:
    best = read_history(path).best
    end: dict[str, object] = {
        "kind": "end",
        "best_epoch": best.epoch if best else None,
        "seconds": round(seconds, 1),
    }
    if pruned:
        end["stopped"] = "pruned"
    append_line(path, end)


class _StopAfter(lightning.Callback):
    def __init__(self, epochs: int) -> None:
        self._epochs = epochs

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: object) -> None:
        if trainer.current_epoch + 1 >= self._epochs:
            trainer.should_stop = True


def _checkpoints(folder: Path, averaged: bool) -> list[lightning.Callback]:
    # Both are written after the epoch's history line, so no checkpoint lacks its line. A
    # checkpoint of weights alone would hold the current weights instead of their average.
    best = ModelCheckpoint(
        folder,
        BEST.removesuffix(".ckpt"),
        monitor="validation_focal_loss",
        mode="min",
        save_weights_only=not averaged,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    last = ModelCheckpoint(
        folder,
        LAST.removesuffix(".ckpt"),
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    return [best, last]


def _checkpoint(path: Path, **options: Any) -> dict[str, Any]:
    """Read what Lightning wrote: only numbers and names, since anything else could run.

    Raises:
        TrainingError: the file holds more than that.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, **options)
    except UnpicklingError as error:
        raise TrainingError(
            f"{path} holds more than weights and settings, so that opening it could run a "
            "program; remove it and train that run again."
        ) from error
    return state


def _epochs_in(checkpoint: Path) -> int:
    """Return epochs that are finished in a checkpoint."""
    return int(_checkpoint(checkpoint, mmap=True)["epoch"]) + 1


def _check_same(earlier: History, config: TrainConfig, table: Table) -> None:
    if earlier.data.get("fingerprint") != table.fingerprint:
        raise TrainingError(
            f"The run {earlier.name!r} was trained on other data; choose another --name."
        )
    # Where and how fast it runs may change between two parts; what it learns may not.
    free = {"workers"}
    now = config.to_dict()
    changed = [
        key for key in now if key not in free and earlier.config.get(key, now[key]) != now[key]
    ]
    if changed:
        raise TrainingError(
            f"The run {earlier.name!r} has another {changed[0]} "
            f"({earlier.config[changed[0]]!r}); resume it with the same settings."
        )


def _first_line(
    config: TrainConfig, table: Table, data: ClipData, machine: Machine, note: str
) -> History:
    used = {"train_clips": len(data.train_clips), "validation_clips": len(data.val_clips)}
    settings = config.to_dict()
    if config.init not in ("", "timm"):
        settings["init"] = Path(config.init).name  # the name says what it is; the folder is ours
    return History(
        name=config.name,
        config=settings,
        data={"fingerprint": table.fingerprint, **table.counts(), **used},
        commit=git_commit(),
        hardware=hardware(machine),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        note=note,
    )


@functools.cache
def git_commit() -> str:
    """Return the commit of the code, "+" behind it where it was changed; "" outside a checkout.

    Asked once a process: what a long process runs is what it was started with.
    """
    here = Path(__file__).parent
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],
            cwd=here,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--", "."],
            cwd=here,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
    return commit + ("+" if changed else "")


def hardware(machine: Machine) -> str:
    """Describe what the run runs on."""
    if torch.cuda.is_available() and machine.accelerator != "cpu":
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    cores = os.cpu_count() or 1
    used = f", {torch.get_num_threads()} used" if torch.get_num_threads() != cores else ""
    return f"{cores} CPU cores{used} ({platform.machine()})"


def _silence() -> None:
    """Silence Lightning's hints, which are for its own developers; errors still come through."""
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")

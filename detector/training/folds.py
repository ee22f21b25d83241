"""k-fold cross-validation: every fold is a run of its own, held-out groups are its validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.datasets.splits import folds
from detector.datasets.table import Table
from detector.training.history import History, Scores
from detector.training.presets import TrainConfig
from detector.training.runs import Machine, train_run
from detector.training.summaries import Fold, FoldsSummary, write_summary


def cross_validate(
    config: TrainConfig,
    table: Table,
    hulls: dict[str, NDArray[np.float32]],
    folder: Path,
    count: int,
    *,
    machine: Machine | None = None,
    note: str = "",
    progress: Callable[[Fold], None] | None = None,
) -> FoldsSummary:
    """Train `count` folds that share no source video or person; finished folds are not redone.

    Args:
        config: settings of every fold.
        table: crops; the test split is left out.
        hulls: file name -> hulls, for self-blending.
        folder: gets `fold-1` to `fold-k`, one run each, and `NAME.folds.json`.
        count: number of folds, 2 or more.
        machine, note: as for `train_run`.
        progress: called after each fold.
    """
    done = []
    for number, dealt in enumerate(folds(table, count, config.seed), start=1):
        settings = replace(config, name=f"{config.name}-fold-{number}", fold=number, folds=count)
        run = train_run(
            settings,
            dealt,
            hulls,
            folder / f"fold-{number}",
            machine=machine,
            resume=True,
            note=note,
        )
        done.append(_fold(number, run.history))
        if progress:
            progress(done[-1])
        summary = FoldsSummary(config.name, note, run.history.config, tuple(done))
        write_summary(folder / f"{config.name}.folds.json", summary)
    return summary


def _fold(number: int, history: History) -> Fold:
    best = history.best
    return Fold(
        fold=number,
        best_epoch=best.epoch if best else 0,
        validation=best.validation if best else Scores(),
        train_clips=history.data["train_clips"],
        validation_clips=history.data["validation_clips"],
        seconds=history.rows[-1].seconds,
    )

"""Tuning: Optuna over gamma, alpha, learning rate, frames and blending strength.

The study lives in `study.db` (SQLite) in its folder: stopped at any moment, it goes on where it
was. The objective is the validation AUC, because losses with different gamma and alpha do not
compare. Trials that fall behind the median of the others are pruned.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytorch_lightning as lightning
from numpy.typing import NDArray
from optuna.trial import TrialState

from detector.datasets.table import Table
from detector.training.history import read_history
from detector.training.presets import TrainConfig
from detector.training.runs import HISTORY, Machine, git_commit, hardware, train_run
from detector.training.summaries import Trial, TuningSummary, write_summary

STUDY = "study.db"
STATES = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}


def suggest(trial: optuna.trial.BaseTrial, config: TrainConfig) -> TrainConfig:
    """Suggest the settings of a trial.

    Blending strength is searched only where the configuration blends at all.
    """
    weighted = trial.suggest_categorical("alpha", ["none", 0.25, 0.5, 0.75])
    settings = replace(
        config,
        gamma=trial.suggest_float("gamma", 0.0, 4.0),
        alpha=None if weighted == "none" else float(str(weighted)),
        learning_rate=trial.suggest_float("learning_rate", 1e-5, 1e-3, log=True),
        frames=trial.suggest_int("frames", 1, 6),
    )
    if config.blend_share > 0:
        strength = trial.suggest_float("blend_strength", 0.25, 2.0)
        settings = replace(settings, blend_strength=strength)
    return settings


def tune(
    config: TrainConfig,
    table: Table,
    hulls: dict[str, NDArray[np.float32]],
    folder: Path,
    trials: int,
    *,
    machine: Machine | None = None,
    note: str = "",
    progress: Callable[[Trial], None] | None = None,
) -> TuningSummary:
    """Run trials until the study has `trials` that were completed or pruned.

    Args:
        config: settings that the trials start from.
        table: crops with splits; only train and val are used.
        hulls: file name -> hulls, for self-blending.
        folder: gets `study.db`, `trial-000` and so on (one history each), `NAME.tuning.json`.
        trials: how many in all, those of earlier calls counted in.
        machine, note: as for `train_run`.
        progress: called after each trial.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name=config.name,
        storage=f"sqlite:///{folder / STUDY}",
        load_if_exists=True,
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
    )
    # A seed that moves with the study, so that going on does not repeat the first suggestions.
    study.sampler = optuna.samplers.TPESampler(seed=config.seed + len(study.trials))
    for stale in study.get_trials(states=(TrialState.RUNNING,)):
        # Its process was killed: fail it, and try the same settings again.
        study.tell(stale.number, state=TrialState.FAIL)
        study.enqueue_trial(stale.params)

    def objective(trial: optuna.Trial) -> float:
        run_folder = folder / f"trial-{trial.number:03d}"
        shutil.rmtree(run_folder, ignore_errors=True)
        settings = suggest(trial, replace(config, name=f"{config.name}-{trial.number:03d}"))
        watch = _Report(trial)
        train_run(
            settings,
            table,
            hulls,
            run_folder,
            machine=machine,
            keep_weights=False,
            callbacks=[watch],
            note=note,
        )
        if watch.pruned:
            raise optuna.TrialPruned
        return max(watch.values)

    while _finished(study) < trials:
        study.optimize(objective, n_trials=1)
        summary = summarise(study, config, table, folder, machine or Machine(), note)
        write_summary(folder / f"{config.name}.tuning.json", summary)
        if progress:
            progress(summary.trials[-1])
    return summarise(study, config, table, folder, machine or Machine(), note)


def summarise(
    study: optuna.Study,
    config: TrainConfig,
    table: Table,
    folder: Path,
    machine: Machine,
    note: str,
) -> TuningSummary:
    """Return what a page shows of a study, without Optuna."""
    done = study.get_trials(deepcopy=False, states=tuple(STATES))
    complete = [trial for trial in done if trial.state == TrialState.COMPLETE]
    settings: dict[str, Any] = config.to_dict()
    if config.init not in ("", "timm"):
        settings["init"] = Path(config.init).name
    return TuningSummary(
        name=config.name,
        objective="validation AUC of the best epoch",
        maximise=True,
        note=note,
        config=settings,
        trials=tuple(_trial(trial, folder) for trial in done),
        best=study.best_trial.number if complete else None,
        importance=_importance(study, len(complete)),
        hardware=hardware(machine),
        commit=git_commit(),
        data={"fingerprint": table.fingerprint},
    )


def _trial(trial: optuna.trial.FrozenTrial, folder: Path) -> Trial:
    values = tuple(value for _, value in sorted(trial.intermediate_values.items()))
    history = folder / f"trial-{trial.number:03d}" / HISTORY
    seconds = 0.0
    if history.exists():
        rows = read_history(history).rows
        seconds = rows[-1].seconds if rows else 0.0
    return Trial(
        number=trial.number,
        state=STATES[trial.state],
        value=trial.value,
        params=dict(trial.params),
        values=values,
        seconds=seconds,
    )


def _importance(study: optuna.Study, complete: int) -> dict[str, float]:
    if complete < 4:
        return {}
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=1)
    try:
        return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))
    except RuntimeError:  # all trials came out alike
        return {}


def _finished(study: optuna.Study) -> int:
    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)))


class _Report(lightning.Callback):
    """Hands each epoch's AUC to Optuna, and stops the run where it says so."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial
        self.values: list[float] = []
        self.pruned = False

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        auc = pl_module.val_scores.auc
        self.values.append(0.5 if auc is None else auc)
        self._trial.report(self.values[-1], trainer.current_epoch)
        if self._trial.should_prune():
            self.pruned = True
            trainer.should_stop = True

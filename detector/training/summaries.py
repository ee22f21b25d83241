"""Results of several runs taken together: k folds, and a tuning study. Light: no torch here.

Both are JSON files beside the histories, `NAME.folds.json` and `NAME.tuning.json`; the runs
they sum up are histories of their own in the same format.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from detector.errors import TrainingError
from detector.files import atomic_write
from detector.training.history import Scores

FOLD_METRICS = ("accuracy", "f1", "log_loss", "auc")


@dataclass(frozen=True)
class Fold:
    """One fold: the scores of its best epoch on the held-out groups.

    Attributes:
        fold: number, from 1.
        best_epoch: epoch with the lowest validation focal loss.
        validation: scores there.
        train_clips, validation_clips: sizes.
        seconds: time of the run.
    """

    fold: int
    best_epoch: int
    validation: Scores
    train_clips: int
    validation_clips: int
    seconds: float


@dataclass(frozen=True)
class FoldsSummary:
    """k folds of one configuration.

    Attributes:
        name: of the cross-validation.
        note: what a reader must know, such as the reduced size.
        config: settings common to the folds.
        folds: in order.
    """

    name: str
    note: str
    config: dict[str, Any]
    folds: tuple[Fold, ...]

    def mean(self, metric: str) -> float | None:
        """Return the mean over folds of one of `FOLD_METRICS`; None where it was not measured."""
        values = self._values(metric)
        return statistics.fmean(values) if values else None

    def spread(self, metric: str) -> float | None:
        """Return the sample standard deviation over the folds; None with fewer than two values."""
        values = self._values(metric)
        return statistics.stdev(values) if len(values) > 1 else None

    def _values(self, metric: str) -> list[float]:
        values = [getattr(fold.validation, metric) for fold in self.folds]
        return [value for value in values if value is not None]


@dataclass(frozen=True)
class Trial:
    """One trial of a study.

    Attributes:
        number: from 0.
        state: "complete", "pruned" or "failed".
        value: the objective; of a pruned trial, its last value; None where there is none.
        params: what was tried; alpha "none" leaves classes unweighted.
        values: the objective after each epoch.
        seconds: time of the trial.
    """

    number: int
    state: str
    value: float | None
    params: dict[str, Any]
    values: tuple[float, ...]
    seconds: float


@dataclass(frozen=True)
class TuningSummary:
    """A tuning study.

    Attributes:
        name: of the study.
        objective: what was optimised, in words; `maximise` says in which direction.
        note: what a reader must know, such as the reduced size.
        config: settings common to the trials.
        trials: by number.
        best: number of the best complete trial, None without one.
        importance: share of the objective's variation that each parameter explains, summing
            to 1 (fANOVA, Hutter et al. 2014); empty with too few complete trials.
        hardware, commit, data: as in a history.
    """

    name: str
    objective: str
    maximise: bool
    note: str
    config: dict[str, Any]
    trials: tuple[Trial, ...]
    best: int | None
    importance: dict[str, float]
    hardware: str = ""
    commit: str = ""
    data: dict[str, Any] = field(default_factory=dict)


def write_summary(path: Path, summary: FoldsSummary | TuningSummary) -> None:
    """Write JSON; the file appears only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as draft:
        draft.write_text(json.dumps(asdict(summary), indent=1) + "\n", encoding="utf-8")


def read_folds(path: Path) -> FoldsSummary:
    """Read the cross-validation in a `.folds.json` file; raises TrainingError where it is none."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        folds = tuple(
            Fold(**{**fold, "validation": Scores(**fold["validation"])})
            for fold in entry.pop("folds")
        )
        return FoldsSummary(**entry, folds=folds)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"{path.name} is not a cross-validation ({error}); make one with "
            "`python -m detector train --folds 5`."
        ) from error


def read_tuning(path: Path) -> TuningSummary:
    """Read the study in a `.tuning.json` file; raises TrainingError where it is none."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        trials = tuple(
            Trial(**{**trial, "values": tuple(trial["values"])}) for trial in entry.pop("trials")
        )
        return TuningSummary(**entry, trials=trials)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"{path.name} is not a tuning study ({error}); make one with `python -m detector tune`."
        ) from error

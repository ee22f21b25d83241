"""What watches a run: the history's lines, and how long the network waits for its input."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as lightning
import torch

from detector.training.history import EpochRow, append_line


class InputMeter(lightning.Callback):
    """Splits an epoch's time into waiting for images, preparing them, and the network.

    `busy` is the network's share; the aim on a GPU is 0.9. The device is waited for at each
    border, so that the parts are true on a GPU as well; this costs a little overlap.
    """

    def __init__(self) -> None:
        self.waited = self.prepared = self.worked = 0.0
        self._mark: float | None = None
        self._preparing = 0.0

    @property
    def busy(self) -> float | None:
        """Share of this epoch's time in which the network worked, None before the first step."""
        total = self.waited + self.prepared + self.worked
        return self.worked / total if total > 0 else None

    @contextmanager
    def preparing(self) -> Iterator[None]:
        """Time the making of views."""
        start = _now()
        yield
        self._preparing += _now() - start

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Start anew."""
        self.waited = self.prepared = self.worked = self._preparing = 0.0
        self._mark = _now()

    def on_train_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note that the batch has come: what passed was waiting, but for the preparing."""
        now = _now()
        if self._mark is not None:
            self.waited += max(now - self._mark - self._preparing, 0.0)
        self.prepared += self._preparing
        self._preparing = 0.0
        self._mark = now

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note that the step is done."""
        now = _now()
        if self._mark is not None:
            self.worked += now - self._mark
        self._mark = now


class HistoryWriter(lightning.Callback):
    """Adds a line to the history after each epoch.

    Args:
        path: the history; its config line is already there.
        before: seconds that earlier parts of a resumed run took.
        meter: measures the input, if any.
        progress: called with each row once it is written, if any.
    """

    def __init__(
        self,
        path: Path,
        before: float,
        meter: InputMeter | None,
        progress: Callable[[EpochRow], None] | None = None,
    ) -> None:
        self._path = path
        self._before = before
        self._meter = meter
        self._progress = progress
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Time of the run so far, pauses between resumed parts left out."""
        return self._before + time.monotonic() - self._start

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Start the clock with the first epoch, not with the loading of weights."""
        self._start = time.monotonic()

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Close the training metrics on every process, and write the line on the first."""
        train_scores = pl_module.train_metrics.compute()
        if not trainer.is_global_zero:
            return
        row = EpochRow(
            epoch=trainer.current_epoch + 1,
            step=trainer.global_step,
            samples=pl_module.samples,
            seconds=self.seconds,
            learning_rate=float(trainer.optimizers[0].param_groups[0]["lr"]),
            train=train_scores,
            validation=pl_module.val_scores,
            skipped=pl_module.skipped,
            busy=self._meter.busy if self._meter else None,
        )
        append_line(self._path, row.to_json())
        if self._progress:
            self._progress(row)


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()

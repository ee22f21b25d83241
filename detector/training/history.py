"""The history of a training run: one JSON Lines file, readable while the run still writes it.

Format, version 1. Every line is an object with a `kind`:

- `config`, the first line: `version`, `name`, `config` (a `TrainConfig`), `data` (fingerprint,
  clips and crops by split and class), `commit`, `hardware`, `started` (ISO 8601, UTC), `note`.
- `epoch`, one an epoch: `epoch` (from 1), `step`, `samples` (frames shown so far), `seconds`
  (since the start, pauses left out), `learning_rate`, and for `train_` and `validation_` each:
  `focal_loss`, `log_loss`, `f1`, `accuracy`, `auc` (a number, or null where it was not
  measured); `skipped` (unreadable images), `busy` (share of the time the network worked).
- `end`, the last line of a finished run: `best_epoch`, `seconds`, and `stopped` = "pruned" where
  a study ended it early.

Nothing heavy is imported here, so that a page may read it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from detector.errors import TrainingError
from detector.files import atomic_write

VERSION = 1
RUNS = Path("runs")  # where the commands keep runs, and a page finds those in progress
METRICS = ("focal_loss", "log_loss", "f1", "accuracy", "auc")


@dataclass(frozen=True)
class Scores:
    """Metrics of one split; None where one was not measured.

    Attributes:
        focal_loss: mean focal loss with the run's gamma.
        log_loss: mean binary cross-entropy, nats.
        f1, accuracy: at logit 0, [0, 1].
        auc: area under the ROC curve, [0, 1].
    """

    focal_loss: float | None = None
    log_loss: float | None = None
    f1: float | None = None
    accuracy: float | None = None
    auc: float | None = None


@dataclass(frozen=True)
class EpochRow:
    """One epoch of a run (see the module for units)."""

    epoch: int
    step: int
    samples: int
    seconds: float
    learning_rate: float
    train: Scores
    validation: Scores
    skipped: int = 0
    busy: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the flat object of a line."""
        line: dict[str, Any] = {
            "kind": "epoch",
            "epoch": self.epoch,
            "step": self.step,
            "samples": self.samples,
            "seconds": round(self.seconds, 2),
            "learning_rate": self.learning_rate,
        }
        for split, scores in (("train", self.train), ("validation", self.validation)):
            for name, value in asdict(scores).items():
                line[f"{split}_{name}"] = None if value is None else round(value, 6)
        line["skipped"] = self.skipped
        line["busy"] = None if self.busy is None else round(self.busy, 4)
        return line

    @classmethod
    def from_json(cls, line: dict[str, Any]) -> EpochRow:
        """Read the row that `to_json` wrote."""
        return cls(
            epoch=line["epoch"],
            step=line["step"],
            samples=line["samples"],
            seconds=line["seconds"],
            learning_rate=line["learning_rate"],
            train=Scores(**{name: line.get(f"train_{name}") for name in METRICS}),
            validation=Scores(**{name: line.get(f"validation_{name}") for name in METRICS}),
            skipped=line.get("skipped", 0),
            busy=line.get("busy"),
        )


@dataclass(frozen=True)
class History:
    """One run, finished or still running.

    Attributes:
        name: name of the run.
        config: settings, the fields of `presets.TrainConfig`.
        data: fingerprint and counts of the data.
        commit: git commit of the code, "" where unknown.
        hardware: what it ran on, in words.
        started: ISO 8601, UTC.
        note: what a reader must know, such as the reduced size.
        rows: epochs in order.
        end: the closing line (best_epoch, seconds, stopped), None while the run goes on.
    """

    name: str
    config: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    commit: str = ""
    hardware: str = ""
    started: str = ""
    note: str = ""
    rows: tuple[EpochRow, ...] = ()
    end: dict[str, Any] | None = None

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return self.end is not None

    @property
    def best(self) -> EpochRow | None:
        """The epoch with the lowest validation focal loss (the paper keeps it), if any."""
        measured = [row for row in self.rows if row.validation.focal_loss is not None]
        return min(measured, key=lambda row: row.validation.focal_loss or 0.0, default=None)


def read_history(path: Path) -> History:
    """Read the history in a `.jsonl` file; a last line that is still being written is left out.

    Raises:
        TrainingError: the file is missing, or does not begin with a config line.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        first = json.loads(lines[0])
        if first["kind"] != "config" or first["version"] != VERSION:
            raise ValueError("no config line of a known version")
        rows: list[EpochRow] = []
        end = None
        for number, text in enumerate(lines[1:], start=2):
            try:
                line = json.loads(text)
            except ValueError:
                if number == len(lines):
                    break  # the writer is in the middle of this line
                raise
            if line["kind"] == "epoch":
                rows.append(EpochRow.from_json(line))
            elif line["kind"] == "end":
                end = {key: value for key, value in line.items() if key != "kind"}
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise TrainingError(
            f"{path.name} is not a training history ({error}); choose a .jsonl file that "
            "`python -m detector train` wrote."
        ) from error
    return History(
        name=first["name"],
        config=first.get("config", {}),
        data=first.get("data", {}),
        commit=first.get("commit", ""),
        hardware=first.get("hardware", ""),
        started=first.get("started", ""),
        note=first.get("note", ""),
        rows=tuple(rows),
        end=end,
    )


def read_histories(folder: Path) -> tuple[History, ...]:
    """Read all histories directly in `folder`, by name; files that are none are left out."""
    return tuple(_readable(sorted(folder.glob("*.jsonl"))))


def running(runs: Path) -> tuple[History, ...]:
    """Read the histories of runs under `runs` (one folder a run), last written first."""
    files = sorted(
        runs.glob("**/history.jsonl"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    return tuple(_readable(files))


def _readable(paths: Iterable[Path]) -> Iterator[History]:
    for path in paths:
        try:
            yield read_history(path)
        except TrainingError:
            continue


def write_history(path: Path, history: History) -> None:
    """Write a whole history at once; the file appears only when it is complete."""
    lines: list[dict[str, Any]] = [
        {
            "kind": "config",
            "version": VERSION,
            "name": history.name,
            "config": history.config,
            "data": history.data,
            "commit": history.commit,
            "hardware": history.hardware,
            "started": history.started,
            "note": history.note,
        }
    ]
    lines += [row.to_json() for row in history.rows]
    if history.end is not None:
        lines.append({"kind": "end", **history.end})
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as draft:
        draft.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def append_line(path: Path, line: dict[str, Any]) -> None:
    """Add one line and hand it to the disk, so that a killed run loses none."""
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")
        stream.flush()
        os.fsync(stream.fileno())

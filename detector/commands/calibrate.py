"""`python -m detector calibrate DATA`: temperatures, weights and bands from a validation split."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from detector.commands.evaluate import (
    add_data,
    add_scoring_options,
    check_folders,
    engine_of,
    number,
    resampling,
    score,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `calibrate`."""
    add_data(parser)
    add_scoring_options(parser)
    parser.add_argument(
        "--split", choices=("train", "val", "test", "all"), default="val", help="to fit on"
    )
    parser.add_argument(
        "--report",
        choices=("val", "test", "none"),
        default="test",
        help="split to report on, never fitted on (default: test)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="write calibration.json here, and install nothing; default, beside the weights, "
        "and the app uses it",
    )


def run(options: argparse.Namespace) -> int:
    """Calibrate, print what changed, and install it; returns the exit code."""
    from detector.datasets.labelled import open_labelled
    from detector.evaluation.calibration import calibrate, install
    from detector.evaluation.result import write
    from detector.models.spec import read_ensemble

    check_folders(options.out)
    engine = engine_of(options)
    parts: list[tuple[Any, Any]] = []
    for split in (options.split, options.report):
        labelled = _open(open_labelled, options, split) if split != "none" else None
        if labelled is None or (parts and labelled.split == parts[0][0].split):
            break  # data without splits has nothing to hold out
        if options.most:
            labelled = labelled.first(options.most, options.most)
        parts.append((labelled, score(labelled, engine, options, f"Scoring {split}")))
    (labelled, scores), *others = parts
    result = calibrate(
        labelled,
        scores,
        engine.scorer(options.backend),
        before=read_ensemble(calibrated=False),
        held_out=others[0][1] if others else None,
        held_out_split=options.report,
        **resampling(options),
    )
    if options.out:
        write(result, options.out)
        place = options.out
    else:
        place = install(result)
    _print(result, place)
    return 0


def _open(read: Any, options: argparse.Namespace, split: str) -> Any:
    from detector.errors import EvaluationError

    try:
        return read(options.data, split, options.name)
    except EvaluationError:
        if split == options.split:
            raise
        return None  # nothing to report on


def _print(result: Any, place: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(emoji=False)
    for model in result.run.models:
        console.print(
            f"{model.name}: temperature {model.temperature:.3f}, weight {model.weight:.1%}",
            highlight=False,
        )
    table = Table("clip level", "before", "after")
    for quality in (result.fitted, result.reported):
        if quality is None:
            continue
        table.add_section()
        table.add_row(f"[bold]{quality.split}[/bold], {quality.clips} clips", "", "")
        table.add_row("log loss", number(quality.log_loss_before), number(quality.log_loss_after))
        table.add_row("calibration error", number(quality.ece_before), number(quality.ece_after))
        for band in ("some", "strong"):
            table.add_row(
                f"unaltered at {band} or above",
                number(quality.false_positives_before[band]),
                number(quality.false_positives_after[band]),
            )
    console.print(table)
    for fit in result.limits:
        console.print(f"{fit.band} from {fit.logit:+.2f}: {fit.sentence}", highlight=False)
    for note in result.notes:
        console.print(f"- {note}", highlight=False)
    console.print(f"Written to {place}", highlight=False)

"""`python -m detector drift`: do recent clips still look like those it was measured on?"""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from detector.commands import evaluate
from detector.evaluation.result import MODEL_CARD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.evaluation.drift import Shift
    from detector.evaluation.result import Evaluation

FINE, WORSE = 0, 1  # exit codes; 2 stands for “could not be compared”, as everywhere


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `drift`."""
    parser.add_argument(
        "--since", type=_days, metavar="DAYS", help="only analyses of the last DAYS; default, all"
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="LABELLED",
        help="also evaluate this labelled folder or table, as `evaluate` does, and compare it with "
        "the last evaluation; exit code 1 where it is worse beyond the intervals",
    )
    parser.add_argument("--split", choices=("train", "val", "test", "all"), help="of --data")
    evaluate.add_scoring_options(parser)
    parser.add_argument(
        "--reference",
        type=Path,
        default=MODEL_CARD / "evaluation.json",
        metavar="FILE",
        help="the last evaluation (default: the model card's)",
    )


def run(options: argparse.Namespace) -> int:
    """Compare, print a table and a sentence for each measure; returns `FINE` or `WORSE`."""
    from detector.errors import EvaluationError
    from detector.evaluation.drift import recent_faces, shifts
    from detector.evaluation.model_card.card import stale
    from detector.evaluation.result import Evaluation, read
    from detector.library.store import Library
    from detector.models.spec import read_ensemble

    reference = read(Evaluation, options.reference)
    reason = stale(reference.run, read_ensemble())
    if reason is not None:
        raise EvaluationError(
            f"{options.reference.name} is {reason}; evaluate again with `python -m detector "
            "evaluate`."
        )
    since = None
    if options.since is not None:
        since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=options.since)
    with Library.open() as library:
        recent = recent_faces(library, reference.run, since)
    found = shifts(reference.reference, recent)
    if found:
        _print(found)
    else:
        print("The library holds no faces of that time that the present models scored.")
    if recent.other:
        print(f"- {recent.other} analyses of other models are left out.")
    return _again(options, reference) if options.data else FINE


def _again(options: argparse.Namespace, reference: Evaluation) -> int:
    """Evaluate the labelled data and compare."""
    from detector.evaluation.drift import compare

    _, now = evaluate.measure(evaluate.engine_of(options), options)
    data = now.run.data
    print(
        f"{data.name}, split {data.split}: {data.real} unaltered and {data.manipulated} "
        "manipulated clips, against the last evaluation:"
    )
    changes = compare(reference, now)
    for change in changes:
        print(f"- {change.sentence}")
    for note in now.notes:
        print(f"- {note}")
    return WORSE if any(change.worse for change in changes) else FINE


def _print(found: Sequence[Shift]) -> None:
    from rich.console import Console
    from rich.table import Table

    from detector.evaluation.drift import MEASURES

    first = found[0]
    print(
        f"{first.faces:,} faces of {first.clips:,} analyses, against the model card (face level):"
    )
    table = Table("Measure", "PSI", "by chance", "KS", "p", "Median", "Reference", "Shift")
    for one in found:
        table.add_row(
            MEASURES[one.name][0],
            f"{one.psi:.3f}",
            f"{one.chance:.3f}",
            f"{one.ks:.3f}",
            f"{one.p:.3f}",
            f"{one.recent:.4g}",
            f"{one.reference:.4g}",
            one.level,
        )
    Console(emoji=False).print(table)
    for one in found:
        print(f"- {one.sentence}")


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if not 0 < days < 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days above 0")
    return days

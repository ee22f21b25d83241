"""`python -m detector evaluate DATA`: error rates on labelled clips, pictures or face crops."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from detector.commands.progress import ProgressBars
from detector.errors import EvaluationError

if TYPE_CHECKING:
    from detector.analysis.engine import Engine
    from detector.datasets.labelled import Labelled
    from detector.evaluation.alterations import Alteration
    from detector.evaluation.result import Estimate, Evaluation, Robustness
    from detector.evaluation.scores import LabelledScores


class Resampling(TypedDict):
    """Frames looked at in each video, and the bootstrap's resamples and seed."""

    frames: int
    resamples: int
    seed: int


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add what `evaluate` and `calibrate` are given: labelled data."""
    parser.add_argument(
        "data",
        type=Path,
        metavar="DATA",
        help="a folder with real/ and fake/ (or any layout that index knows), a .parquet table "
        "or a .csv",
    )


def add_scoring_options(parser: argparse.ArgumentParser) -> None:
    """Add how labelled data is scored, and resampled: for every command that measures on some."""
    parser.add_argument("--name", default="", help="what the data is called in the files")
    parser.add_argument("--frames", type=int, default=32, help="of each video (default: 32)")
    parser.add_argument("--backend", default="auto", help="of the networks (default: auto)")
    parser.add_argument(
        "--most", type=int, default=0, metavar="N", help="clips of each class; default, all"
    )
    parser.add_argument("--seed", type=int, default=7, help="of the bootstrap")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="FILE",
        help="keep logits here by the hash of the crop, so that no crop is scored twice",
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `evaluate`."""
    add_data(parser)
    add_scoring_options(parser)
    parser.add_argument(
        "--split", choices=("train", "val", "test", "all"), help="default: test where there is one"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write evaluation.json here")
    parser.add_argument(
        "--robustness",
        type=Path,
        nargs="?",
        const=Path("robustness.json"),
        metavar="FILE",
        help="also alter every clip in each of the ways listed by the model card, score it again, "
        "and write robustness.json here",
    )
    parser.add_argument(
        "--robustness-most",
        type=int,
        default=0,
        metavar="N",
        help="clips of each class that are altered; default, all",
    )
    parser.add_argument(
        "--abstention",
        type=Path,
        metavar="FILE",
        help="with --robustness: write here what not judging does to the errors",
    )


def run(options: argparse.Namespace) -> int:
    """Evaluate, print a table, and write JSON where asked; returns the exit code."""
    from detector.evaluation.result import write

    check_folders(options.out, options.robustness, options.abstention)
    if options.abstention and not options.robustness:
        raise EvaluationError("Abstention is measured on altered clips: add --robustness.")
    engine = engine_of(options)
    labelled, result = measure(engine, options)
    if options.out:
        write(result, options.out)
    _print(result)
    if options.robustness:
        _alter(labelled, engine, options)
    return 0


def measure(engine: Engine, options: argparse.Namespace) -> tuple[Labelled, Evaluation]:
    """Score the labelled data of the options, and measure the error rates on it."""
    from detector.datasets.labelled import open_labelled
    from detector.evaluation.evaluate import evaluate

    labelled = open_labelled(options.data, options.split, options.name)
    if options.most:
        labelled = labelled.first(options.most, options.most)
    scores = score(labelled, engine, options, "Scoring")
    scorer = engine.scorer(options.backend)
    return labelled, evaluate(labelled, scores, scorer, **resampling(options))


def resampling(options: argparse.Namespace) -> Resampling:
    """Return the frames of each video and the bootstrap that the options give."""
    return {"frames": options.frames, "resamples": options.resamples, "seed": options.seed}


def _alter(labelled: Labelled, engine: Engine, options: argparse.Namespace) -> None:
    """Alter, score again, and write what came out."""
    from detector.evaluation.abstention import abstention
    from detector.evaluation.result import write
    from detector.evaluation.robustness import robustness, score_alterations

    if options.robustness_most:
        labelled = labelled.first(options.robustness_most, options.robustness_most)
    scores = score_alterations(
        lambda alteration: score(labelled, engine, options, alteration.title, alteration)
    )
    scorer = engine.scorer(options.backend)
    table = robustness(labelled, scores, scorer, **resampling(options))
    write(table, options.robustness)
    _print_variants(table)
    if options.abstention:
        effect = abstention(labelled, scores, scorer, **resampling(options))
        write(effect, options.abstention)
        for note in effect.notes:
            print(f"- {note}")


def _print_variants(result: Robustness) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("clip level", "AUC", "unaltered at some", "at strong", "not judged")
    for variant in result.variants:
        measured = variant.metrics
        table.add_row(
            variant.title,
            number(measured.auc),
            number(measured.false_positives["some"]),
            number(measured.false_positives["strong"]),
            f"{variant.abstained:.0%}",
        )
    Console(emoji=False).print(table)


def engine_of(options: argparse.Namespace) -> Engine:
    """Return the models, with the logits that `--cache` keeps."""
    from detector.analysis.engine import Engine
    from detector.evaluation.cached_scorer import CachedScorer

    engine = Engine()
    if options.cache:
        load = engine.load

        def cached(backend: Any, models: str = "") -> CachedScorer:
            return CachedScorer(load(backend, models), options.cache)

        engine.load = cached  # type: ignore[method-assign]
    return engine


def check_folders(*files: Path | None) -> None:
    """Raise EvaluationError before the work where a file could not be written after it."""
    for file in files:
        if file is not None and not file.absolute().parent.is_dir():
            raise EvaluationError(f"The folder of {file} does not exist; make it first.")


def score(
    labelled: Labelled,
    engine: Engine,
    options: argparse.Namespace,
    title: str,
    alteration: Alteration | None = None,
) -> LabelledScores:
    """Score with a bar of progress on a terminal."""
    from detector.evaluation.scores import score_labelled

    with ProgressBars() as bars:
        return score_labelled(
            labelled,
            engine,
            options.backend,
            options.frames,
            alteration,
            bars.add(title, len(labelled.rows)),
        )


def _print(result: Evaluation) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(emoji=False)
    data = result.run.data
    console.print(
        f"[bold]{data.name}[/bold], split {data.split}: {data.real} unaltered and "
        f"{data.manipulated} manipulated clips ({result.run.backend}, {result.run.precision})",
        highlight=False,
    )
    table = Table("", "frame level", "clip level")
    for title, field in (
        ("AUC", "auc"),
        ("average precision", "average_precision"),
        ("log loss", "log_loss"),
        ("F1", "f1"),
        ("accuracy", "accuracy"),
        ("equal error rate", "eer"),
        ("calibration error", "ece"),
    ):
        table.add_row(
            title, number(getattr(result.frame, field)), number(getattr(result.clip, field))
        )
    for band in ("inconclusive", "some", "strong"):
        table.add_row(
            f"unaltered at {band} or above",
            number(result.frame.false_positives[band]),
            number(result.clip.false_positives[band]),
        )
    console.print(table)
    for note in result.notes:
        console.print(f"- {note}", highlight=False)


def number(value: Estimate) -> str:
    """Write an estimate with its interval, as a table shows it."""
    if value.value is None:
        return "–"
    if value.low is None:
        return f"{value.value:.3f}"
    return f"{value.value:.3f} ({value.low:.3f}–{value.high:.3f})"

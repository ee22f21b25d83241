"""`python -m detector failures`: where the detector is wrong on the shipped samples."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import cast

from detector.commands.progress import ProgressBars
from detector.evaluation.alterations import ALTERATIONS
from detector.evaluation.result import MODEL_CARD
from detector.result import Band


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `failures`."""
    parser.add_argument(
        "--out",
        type=Path,
        default=MODEL_CARD / "failures.json",
        metavar="FILE",
        help="write the list here (default: assets/model_card/failures.json)",
    )
    parser.add_argument(
        "--alterations",
        nargs="+",
        choices=[alteration.name for alteration in ALTERATIONS],
        default=[alteration.name for alteration in ALTERATIONS],
        metavar="NAME",
        help="only these, for example original messenger (default: all)",
    )
    parser.add_argument("--frames", type=int, default=16, help="of each variant (default: 16)")
    parser.add_argument("--backend", default="auto", help="of the networks (default: auto)")


def run(options: argparse.Namespace) -> int:
    """Analyse all samples after all alterations, print and write what went wrong."""
    from detector.analysis.engine import Engine
    from detector.commands.evaluate import check_folders
    from detector.evaluation.known_failures import find_failures
    from detector.evaluation.result import write
    from detector.settings import Settings
    from detector.wording import BAND_SHORT

    check_folders(options.out)
    with ProgressBars() as bars:
        result = find_failures(
            Engine(),
            Settings(frames=options.frames, backend=options.backend),
            alterations=tuple(one for one in ALTERATIONS if one.name in options.alterations),
            on_progress=bars.add("Analysing samples"),
        )
    write(result, options.out)
    for failure in result.failures:
        kind = "altered" if failure.manipulated else "unaltered"
        print(
            f"{failure.sample}, {failure.alteration_title}: {BAND_SHORT[cast(Band, failure.band)]} "
            f"({failure.logit:+.2f}) although {kind}"
        )
    print(
        f"{len(result.failures)} of {result.unaltered + result.manipulated} judged variants on the "
        f"wrong side of some evidence; {result.abstained} not judged, {result.failed} not readable"
    )
    return 0

"""`python -m detector quantize`: int8 models of the installed weights, checked against float32."""

from __future__ import annotations

import argparse
from pathlib import Path

from detector.files import MODELS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `quantize`."""
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DATA",
        help="labelled face crops to calibrate on, besides those of the shipped samples: a folder "
        "with real/ and fake/, a .parquet table or a .csv",
    )
    parser.add_argument("--split", default="val", help="of --data (default: val)")
    parser.add_argument(
        "--check", type=Path, metavar="DATA", help="labelled face crops to measure the loss on"
    )
    parser.add_argument("--check-split", default="test", help="of --check (default: test)")
    parser.add_argument(
        "--crops", type=int, default=160, metavar="N", help="of each source (default: 160)"
    )
    parser.add_argument("--name", default="", help="what the data is called in the report")
    parser.add_argument(
        "--again", action="store_true", help="build nothing, compare the installed models again"
    )
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of the weights")


def run(options: argparse.Namespace) -> int:
    """Build, compare, install; prints what int8 changes."""
    import logging

    from rich.console import Console
    from rich.table import Table

    from detector.datasets.labelled import open_labelled
    from detector.evaluation.quantization import build, compare_again, write

    logging.getLogger("nncf").setLevel(logging.ERROR)
    extra = open_labelled(options.data, options.split, options.name) if options.data else None
    check = (
        open_labelled(options.check, options.check_split, options.name) if options.check else None
    )
    console = Console(emoji=False)
    report = (
        compare_again(options.models, check)
        if options.again
        else build(options.models, extra=extra, check=check, most=options.crops, say=console.print)
    )
    if options.models.resolve() == MODELS.resolve():
        write(report)
    table = Table("Sample", "float32", "int8", "Mean difference of the logit")
    for sample in report.samples:
        mean = "–" if sample.mean is None else f"{sample.mean:.3f}"
        table.add_row(sample.name, str(sample.band), str(sample.band_int8), mean)
    console.print(table)
    for name, found in report.networks.items():
        console.print(
            f"{name}: frame AUC {found.auc:.4f} in float32, {found.auc_int8:.4f} in int8, mean "
            f"difference of the logit {found.mean:.3f} ({report.checked} crops of {report.data})"
        )
    return 0

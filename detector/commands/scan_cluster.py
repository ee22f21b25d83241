"""`python -m detector scan SOURCE --ray ADDRESS --out PLACE`: very many clips, on Ray Data."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from detector.commands.progress import ProgressBars
from detector.commands.scan_options import settings_of
from detector.errors import DetectorError

_MOST_ERRORS = 20  # shown; all of them are in the rows


def source(text: str) -> Path | str:
    """Return what to scan as a path, or as it is where it is an address."""
    return text if "://" in text else Path(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `scan` that concern clusters."""
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="scan on a Ray cluster: local (all cores of this machine), auto, or host:6379; CLIP "
        "may also be a pattern, a table (.csv, .parquet) with a column path, or an address such "
        "as s3://bucket/clips",
    )
    parser.add_argument(
        "--out",
        metavar="PLACE",
        help="with --ray: folder or address for the Parquet files; clips whose rows are in it "
        "already are not scanned again",
    )
    parser.add_argument(
        "--retry-failed",
        action="store_true",
        help="with --ray: try clips again that failed in an earlier scan",
    )


def wanted(options: argparse.Namespace) -> bool:
    """Tell whether this is a scan on a cluster; raises DetectorError where options do not fit."""
    if options.ray is None:
        if options.out is not None or options.retry_failed:
            raise DetectorError("--out and --retry-failed go with --ray; add --ray local.")
        if isinstance(options.clip, str):
            raise DetectorError(
                f"{options.clip} is an address; add --ray local and --out FOLDER to scan it."
            )
        return False
    if options.out is None:
        raise DetectorError("Say with --out where the results are to be written.")
    if options.keep or options.json or options.report:
        raise DetectorError(
            "--keep, --json and --report do not go with --ray; what is found is written to --out."
        )
    return True


def run(options: argparse.Namespace) -> int:
    """Scan `options.clip` on the cluster; returns 0, 1 (some clips failed) or 2 (all did)."""
    from detector.cluster.connection import cluster, import_ray
    from detector.cluster.scan import ClusterProgress, scan_cluster
    from detector.cluster.source import find_source
    from detector.cluster.target import Target

    settings = settings_of(options)
    import_ray(options.ray)
    clips = find_source(str(options.clip), options.recursive)
    target = Target.at(options.out)
    target.check()
    errors: list[str] = []

    with cluster(options.ray), ProgressBars() as bars:
        show = bars.add("Clips", len(clips))

        def report(progress: ClusterProgress) -> None:
            show(progress.done, progress.total)
            failed = [outcome for outcome in progress.latest if outcome.state == "failed"]
            errors.extend(
                f"{outcome.path}: {outcome.error}"
                for outcome in failed[: _MOST_ERRORS - len(errors)]
            )

        try:
            outcome = scan_cluster(
                clips, target, settings, retry_failed=options.retry_failed, on_progress=report
            )
        except KeyboardInterrupt:
            print(
                "veriframe: stopped; what was written stays, and the same command goes on from "
                "there.",
                file=sys.stderr,
            )
            return 130
    for error in errors:
        print(error, file=sys.stderr)
    if outcome.failed > len(errors):
        print(f"and {outcome.failed - len(errors):,} more", file=sys.stderr)
    before = f" ({outcome.failed_before:,} failed before)" if outcome.failed_before else ""
    print(
        f"{outcome.analysed:,} analysed, {outcome.known + outcome.failed_before:,} known "
        f"already{before}, {outcome.failed:,} failed; written to {target.place}"
    )
    return outcome.exit_code

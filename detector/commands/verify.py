"""`python -m detector verify REPORT.json CLIP`: do the scores agree when scanned again?"""

from __future__ import annotations

import argparse
from pathlib import Path

from detector.commands.progress import ProgressBars

AGREES, DIFFERS = 0, 1  # exit codes; 2 stands for “could not be checked”, as everywhere
_SHOWN = 5  # differences


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `verify`."""
    parser.add_argument("report", type=Path, metavar="REPORT.json", help="JSON that was saved")
    parser.add_argument("clip", type=Path, metavar="CLIP", help="the video or image file")


def run(options: argparse.Namespace) -> int:
    """Scan the clip again and say what differs first; returns `AGREES` or `DIFFERS`."""
    from detector.analysis.scan import Progress as ScanProgress
    from detector.analysis.verify import read_report, verify

    report = read_report(options.report)
    with ProgressBars() as bars:
        show = bars.add("Scanning again")

        def report_progress(progress: ScanProgress) -> None:
            show(progress.done, progress.total)

        result = verify(report, options.clip, on_progress=report_progress)
    for note in result.notes:
        print(f"Note: {note}")
    if result.agrees:
        largest = (
            "" if result.largest is None else f", the largest difference is {result.largest:.2g}"
        )
        print(
            f"The report agrees with the clip: {result.scores} scores were computed again and are "
            f"the same to within {result.tolerance:g}{largest}."
        )
        return AGREES
    first, *rest = result.differences
    print(f"The report does NOT agree with the clip. {first.sentence}")
    for difference in rest[: _SHOWN - 1]:
        print(f"Also: {difference.sentence}")
    if len(rest) >= _SHOWN:
        print(f"And {len(rest) - _SHOWN + 1} more differences.")
    return DIFFERS

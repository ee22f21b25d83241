"""`python -m detector watch FOLDER`: scan and keep what arrives in a folder, one line each."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector.commands.outcome_line import outcome_line, printable
from detector.commands.scan_options import add_scan_options, settings_of

if TYPE_CHECKING:
    from detector.jobs.folder import FileOutcome
    from detector.jobs.watch import Stop, WatchCounts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `watch`."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the folder clips arrive in")
    parser.add_argument("--recursive", action="store_true", help="look into its folders too")
    parser.add_argument(
        "--settle",
        type=_seconds,
        default=2.0,
        metavar="SECONDS",
        help="a clip has arrived when it was closed and has not changed for so long (default: 2)",
    )
    add_scan_options(parser)


def run(options: argparse.Namespace) -> int:
    """Watch until Ctrl+C or SIGTERM; returns 0. Every analysis is kept in the library."""
    from detector.jobs.arrivals import Arrivals
    from detector.jobs.watch import Stop, WatchCounts, watch
    from detector.library.store import Library

    settings = settings_of(options)
    stop, seen = Stop(), WatchCounts()

    def show(outcome: FileOutcome, so_far: WatchCounts) -> None:
        nonlocal seen
        seen = so_far
        failed = f": {outcome.error}" if outcome.error else ""
        print(outcome_line(outcome) + failed, flush=True)

    with contextlib.ExitStack() as stack:
        stack.enter_context(_asked_by_signals(stop))
        arrivals = Arrivals(options.folder, options.recursive, options.settle)
        library = stack.enter_context(Library.open())
        stack.enter_context(arrivals)
        if arrivals.remark is not None:
            _remark(arrivals.remark)
        place = printable(options.folder)
        print(f"Watching {place}; kept in {library.place}; Ctrl+C ends it.", flush=True)
        try:
            watch(arrivals, library, stop, settings, on_outcome=show, on_remark=_remark)
        finally:
            print(
                f"{seen.analysed} analysed, {seen.known} known already, {seen.failed} failed; "
                f"kept in {library.place}",
                flush=True,
            )
    return 0


def _remark(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _asked_by_signals(stop: Stop) -> Iterator[None]:
    """End the watch after the current frame on Ctrl+C or SIGTERM; at once on a second one."""
    before: dict[int, Any] = {}

    def ask(number: int, _frame: object) -> None:
        signal.signal(number, before[number])
        stop.ask()

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, ask)
    try:
        yield
    finally:
        for changed, handler in before.items():
            signal.signal(changed, handler)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 3600")
    return seconds

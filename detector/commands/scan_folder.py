"""`python -m detector scan FOLDER [--recursive] [--keep]`: every clip in it, one line each."""

from __future__ import annotations

import argparse
import sys

from detector.commands.outcome_line import outcome_line
from detector.commands.progress import ProgressBars
from detector.commands.scan_options import settings_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `scan` that concern folders."""
    parser.add_argument(
        "--recursive", action="store_true", help="a folder: look into its folders too"
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="keep the analyses in the library; a folder's clips that are in it already, with the "
        "same models and settings, are not scanned again",
    )


def run(options: argparse.Namespace) -> int:
    """Scan the folder `options.clip`; returns 0, 1 (some clips failed) or 2 (nothing worked)."""
    from detector.jobs.folder import FolderProgress, find_clips, scan_files
    from detector.library.store import Library

    settings = settings_of(options)
    paths = find_clips(options.clip, options.recursive)
    library = Library.open() if options.keep else None
    printed = 0
    with ProgressBars() as bars:
        show_clips, show_frames = bars.add("Clips", len(paths)), bars.add("Frames")

        def show(progress: FolderProgress) -> None:
            nonlocal printed
            show_clips(progress.done)
            show_frames(progress.frames_done, progress.frames_total or None)
            for file in progress.files[printed:]:
                print(outcome_line(file))
            printed = len(progress.files)

        outcome = scan_files(paths, library, settings, on_progress=show)
    for file in outcome.files[printed:]:
        print(outcome_line(file))
    print(
        f"{outcome.count('analysed')} analysed, {outcome.count('known')} known already, "
        f"{len(outcome.errors)} failed" + (f"; kept in {library.place}" if library else "")
    )
    for file in outcome.errors:
        print(f"{file.path}: {file.error}", file=sys.stderr)
    if outcome.stopped is not None:
        print(f"veriframe: {outcome.stopped}", file=sys.stderr)
    if library is not None:
        library.close()
    return outcome.exit_code

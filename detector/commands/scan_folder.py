"""`python -m detector scan FOLDER [--recursive] [--keep]`: every clip in it, one line each."""

from __future__ import annotations

import argparse
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `scan` that concern folders."""
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
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from detector.analysis import Settings
    from detector.folder_scan import FolderProgress, find_clips, scan_files
    from detector.installed_models import named
    from detector.store import Store

    settings = Settings(
        options.frames, options.face_detector, options.backend, named(options.models).name
    )
    paths = find_clips(options.clip, options.recursive)
    store = Store.open() if options.keep else None
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    printed = 0
    with bar:
        clips = bar.add_task("Clips", total=len(paths))
        frames = bar.add_task("Frames", total=None)

        def show(progress: FolderProgress) -> None:
            nonlocal printed
            bar.update(clips, completed=progress.done)
            total = progress.frames_total or None
            bar.update(frames, completed=progress.frames_done, total=total)
            for file in progress.files[printed:]:
                bar.console.file.flush()
                print(_line(file))
            printed = len(progress.files)

        outcome = scan_files(paths, store, settings, on_progress=show)
    for file in outcome.files[printed:]:
        print(_line(file))
    print(
        f"{outcome.count('analysed')} analysed, {outcome.count('known')} known already, "
        f"{len(outcome.errors)} failed" + (f"; kept in {store.place}" if store else "")
    )
    for file in outcome.errors:
        print(f"{file.path}: {file.error}", file=sys.stderr)
    if outcome.stopped is not None:
        print(f"veriframe: {outcome.stopped}", file=sys.stderr)
    if store is not None:
        store.close()
    return outcome.exit_code


def _line(file) -> str:  # type: ignore[no-untyped-def]
    from detector.wording import BAND_SHORT

    words = {"analysed": "", "known": " (known already)", "failed": "failed"}[file.state]
    found = "" if file.state == "failed" else (BAND_SHORT[file.band] if file.band else "no band")
    number = "" if file.id is None else f"  #{file.id}"
    return f"{file.path}: {found}{words}{number}"

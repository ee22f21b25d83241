"""`python -m detector scan CLIP`: a table of faces and bands."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from detector.commands import scan_cluster, scan_folder
from detector.commands.progress import ProgressBars
from detector.commands.scan_options import add_scan_options, settings_of
from detector.errors import DetectorError

if TYPE_CHECKING:
    from rich.console import Console

    from detector.analysis.scan import Progress as ScanProgress
    from detector.pictures.folder import PictureFolder
    from detector.result import Analysis


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `scan`."""
    parser.add_argument(
        "clip",
        type=scan_cluster.source,
        metavar="CLIP",
        help="video or image file, or a folder of them; with --ray also a pattern, a table or an "
        "address",
    )
    add_scan_options(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the whole result here")
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write a report here: FILE.pdf, FILE.csv, FILE.parquet or FILE.json",
    )
    scan_folder.add_arguments(parser)
    scan_cluster.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Scan one clip, print what was found, and write JSON where asked."""
    if scan_cluster.wanted(options):
        return scan_cluster.run(options)
    if os.path.isdir(options.clip):  # unlike Path.is_dir, False for a name too long to exist
        return scan_folder.run(options)
    from detector.media.sandbox import fork_server

    fork_server.warm()  # it loads while we do

    from rich.console import Console
    from rich.markup import escape

    from detector.jobs.scan_and_keep import scan_and_keep
    from detector.library.store import Library
    from detector.media.sandboxed_provenance import inspect
    from detector.report.export import check_format, save

    for file in (options.json, options.report):
        if file is not None and not file.absolute().parent.is_dir():
            raise DetectorError(f"The folder of {file} does not exist; make it first.")
    if options.report is not None:
        check_format(options.report)
    library = Library.open() if options.keep else None
    settings = settings_of(options)
    console = Console(emoji=False)
    with ProgressBars() as bars:
        show = bars.add("Scoring")

        def report(progress: ScanProgress) -> None:
            show(progress.done, progress.total)

        def save_report(result: Analysis, pictures: PictureFolder) -> None:
            about = inspect(options.clip) if options.report.suffix.lower() == ".pdf" else None
            save(result, options.report, pictures, provenance=about)

        result, id = scan_and_keep(
            options.clip,
            library,
            settings,
            source=options.clip.absolute(),
            on_scanned=None if options.report is None else save_report,
            on_progress=report,
        )
    if options.json is not None:
        try:
            options.json.write_text(result.to_json(), encoding="utf-8")
        except OSError as error:
            raise DetectorError(
                f"{options.json} cannot be written ({error.strerror}); choose another file."
            ) from error
    _print(console, result)
    if library is not None:
        console.print(f"Kept as number {id} in {escape(library.place)}", highlight=False)
    return 0


def _print(console: Console, result: Analysis) -> None:
    from rich.markup import escape
    from rich.table import Table

    from detector.media.clip import shortened
    from detector.wording import BAND_SHORT, STATES, clock, headline

    clip = result.clip
    console.print(
        f"[bold]{escape(shortened(clip.name))}[/bold]  {clip.width}×{clip.height}, "
        f"{clock(clip.duration)}, {result.sampling.analysed} frames analysed",
        highlight=False,
    )
    if result.tracks:
        table = Table("Face", "From", "To", "Frames", "Logit", "Score", "Finding")
        for track in result.tracks:
            words = (
                BAND_SHORT[track.band]
                if track.band
                else ", ".join(STATES[state].lower() for state in track.states)
            )
            table.add_row(
                str(track.id),
                clock(track.first),
                clock(track.last),
                f"{track.usable_frames}/{track.frames}",
                "–" if track.logit is None else f"{track.logit:+.3f}",
                "–" if track.score is None else f"{track.score:.3f}",
                words,
            )
        console.print(table)
    console.print(f"[bold]{headline(result)}[/bold]")
    for reason in result.finding.reasons:
        console.print(f"- {escape(reason)}", highlight=False)

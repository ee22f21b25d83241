"""`python -m detector index FOLDER`: a data set as one table; with --extract, its face crops."""

from __future__ import annotations

import argparse
from pathlib import Path

from detector.commands.progress import ProgressBars

LAYOUTS = ("auto", "listed", "dfdc-crops", "faceforensics", "celebdf", "dfdc", "plain")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of an index."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the data set")
    parser.add_argument("--layout", choices=LAYOUTS, default="auto", help="how it is laid out")
    parser.add_argument("--out", type=Path, help="the .parquet file; FOLDER/index.parquet")
    parser.add_argument(
        "--extract",
        type=Path,
        metavar="DIR",
        help="also cut the faces out, into DIR, which is then what --data of train takes",
    )
    parser.add_argument("--frames", type=int, default=16, help="of each clip")
    parser.add_argument("--size", type=int, default=320, help="side of the crops, pixels")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--seed", type=int, default=1, help="decides splits where none are given")


def run(options: argparse.Namespace) -> int:
    """Index the folder; returns the exit code."""
    from detector.datasets.layouts import index_folder
    from detector.datasets.table import PARQUET_NAME, write_table

    table = index_folder(options.folder, options.layout, options.seed)
    crops = bool((table.rows["kind"] == "crop").all())
    name = PARQUET_NAME if crops else "index.parquet"
    out = options.out or options.folder / name
    write_table(table, out)
    for note in table.notes:
        print(note)
    for split, classes in table.counts().items():
        words = ", ".join(f"{counts['clips']} {name}" for name, counts in classes.items())
        print(f"{split:5s} {words} clips")
    print(f"{out}, fingerprint {table.fingerprint}")
    if not options.extract:
        return 0
    from detector.training.extract import extract_faces

    with ProgressBars() as bars:
        result = extract_faces(
            table,
            options.extract,
            frames=options.frames,
            size=options.size,
            jobs=options.jobs,
            progress=bars.add("Faces"),
        )
    print(
        f"{len(result.table.rows)} crops in {options.extract}; {len(result.damaged)} files could "
        f"not be read, {len(result.faceless)} show no face."
    )
    return 0

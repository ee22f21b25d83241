"""Scan every clip of a folder and write all scores to one Parquet file.

python -m examples.folder_to_parquet clips scores.parquet
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from detector import Analysis, DetectorError, Settings, scan
from detector.analysis.engine import Engine
from detector.jobs.folder import find_clips
from detector.report.tables import to_parquet


def analyses(folder: Path) -> Iterator[Analysis]:
    engine = Engine()  # holds the networks, so that they are loaded once for all clips
    for clip in find_clips(folder, recursive=True):
        try:
            yield scan(clip, Settings(frames=8), engine)
            print(clip, "scanned")
        except DetectorError as error:  # one bad file does not end the rest
            print(error, file=sys.stderr)


def main(folder: Path, table: Path) -> None:
    # One row for each face in each frame: pandas.read_parquet(table) opens it.
    table.write_bytes(to_parquet(analyses(folder)))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except DetectorError as error:
        sys.exit(str(error))

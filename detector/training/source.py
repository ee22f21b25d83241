"""From what a person names after `--data` to a table of crops and its hulls."""

from __future__ import annotations

from pathlib import Path

from detector.datasets.layouts import index_folder
from detector.datasets.splits import check_splits
from detector.datasets.table import PARQUET_NAME, Table, read_table
from detector.errors import TrainingError
from detector.training.hulls import HULLS_NAME, Hulls, find_hulls, usable


def open_data(path: Path, layout: str = "auto") -> Table:
    """Open the crops of a `.parquet` index, of a folder that has one, or of a folder of crops.

    Raises:
        TrainingError: there are none, or they still have to be extracted.
    """
    if path.suffix == ".parquet":
        table = read_table(path)
    elif (path / PARQUET_NAME).is_file():
        table = read_table(path / PARQUET_NAME)
    else:
        table = index_folder(path, layout)
    if (table.rows["kind"] != "crop").any():
        raise TrainingError(
            f"{path} holds clips or whole pictures; extract their faces first with "
            f"`python -m detector index {path} --extract FOLDER`, then train on FOLDER."
        )
    check_splits(table)
    return table


def open_hulls(table: Table, jobs: int = 2) -> Hulls:
    """Return hulls of the real training crops, found now where the folder has none cached."""
    rows = table.rows
    real = rows.loc[(rows["label"] == 0) & (rows["split"] != "test"), "path"]
    return usable(find_hulls(table.root, list(real), table.root / HULLS_NAME, jobs))

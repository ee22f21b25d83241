"""Splits that share no source video and no person, and the folds made of them."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pandas as pd

from detector.datasets.table import Table
from detector.errors import TrainingError

SHARES = (("train", 0.8), ("val", 0.1), ("test", 0.1))
LARGEST = 0.5  # a group with more of the clips than this makes splitting pointless


def assign_groups(table: Table) -> Table:
    """Give each row a group: everything linked by a source, a person or a donor.

    Where donors link most clips into one group (Celeb-DF swaps every person with every other),
    groups are made of sources and persons, and `assign_splits` leaves out the manipulated clips
    whose donor falls into another split.
    """
    rows = table.rows.copy()
    keys = [
        [f"source/{source}"] + [f"person/{name}" for name in (person, donor) if name]
        for source, person, donor in zip(rows["source"], rows["person"], rows["donor"], strict=True)
    ]
    groups = _components(keys)
    share = pd.Series(groups).value_counts(normalize=True).iloc[0]
    if share > LARGEST and (rows["donor"] != "").any():
        groups = _components(
            [
                [key for key in row if key != f"person/{donor}" or donor == person]
                for row, person, donor in zip(keys, rows["person"], rows["donor"], strict=True)
            ]
        )
    rows["group"] = pd.array(groups, dtype="string")
    return replace(table, rows=rows)


def assign_splits(table: Table, seed: int = 1) -> Table:
    """Put whole groups into train, val and test, 80 : 10 : 10, where a row has no split yet.

    The split of a group is decided by a hash of its name, so that adding clips later moves none.
    Rows whose donor belongs to another split are left out, and counted in the notes.
    """
    rows = table.rows.copy()
    open_ = rows["split"] == ""
    if open_.any():
        rows.loc[open_, "split"] = rows.loc[open_, "group"].map(lambda name: _split(name, seed))
        rows = _fill_empty(rows, open_)
    by_person: dict[str, str] = {}
    for person, split in zip(rows["person"], rows["split"], strict=True):
        if person:
            by_person.setdefault(person, split)
    crossing = [
        bool(donor) and by_person.get(donor, split) != split
        for donor, split in zip(rows["donor"], rows["split"], strict=True)
    ]
    notes = table.notes
    if any(crossing):
        notes = (
            *notes,
            f"{sum(crossing)} clips were left out: their two persons stand in two "
            "different splits.",
        )
        rows = rows[~np.array(crossing)].reset_index(drop=True)
    return replace(table, rows=rows, notes=notes)


def check_splits(table: Table) -> None:
    """Raise TrainingError if a source video, a person or a group stands in two splits."""
    rows = table.rows
    for column in ("source", "group"):
        spread = rows[rows[column] != ""].groupby(column)["split"].nunique()
        if (spread > 1).any():
            name = spread.index[spread > 1][0]
            raise TrainingError(
                f"The {column} {name!r} stands in two splits; give all its clips one split."
            )
    seen: dict[str, str] = {}
    for column in ("person", "donor"):
        for name, split in zip(rows[column], rows["split"], strict=True):
            if name and seen.setdefault(name, split) != split:
                raise TrainingError(
                    f"The person {name!r} stands in two splits; give all their clips one split."
                )


def folds(table: Table, count: int, seed: int = 1) -> tuple[Table, ...]:
    """Return k tables whose validation splits are disjoint and share no group with training.

    Training and validation rows are dealt anew (scikit-learn's StratifiedGroupKFold, balanced
    by class); the test split is left out altogether.

    Raises:
        TrainingError: fewer groups than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    rows = table.rows[table.rows["split"] != "test"].reset_index(drop=True)
    if count < 2:
        raise TrainingError(f"{count} folds make no cross-validation; choose 2 or more.")
    if rows["group"].nunique() < count:
        raise TrainingError(
            f"The data has {rows['group'].nunique()} groups, too few for {count} folds; "
            "choose fewer folds."
        )
    dealer = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    result = []
    for _, held_out in dealer.split(rows, rows["label"], rows["group"]):
        dealt = rows.copy()
        dealt["split"] = pd.array(["train"] * len(dealt), dtype="string")
        dealt.loc[held_out, "split"] = "val"
        result.append(replace(table, rows=dealt))
    return tuple(result)


def _split(name: str, seed: int) -> str:
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    for split, share in SHARES:
        place -= share
        if place < 0:
            return split
    return SHARES[-1][0]


def _fill_empty(rows: pd.DataFrame, open_: pd.Series) -> pd.DataFrame:
    """Move groups of each class until no split of a small set lacks it, while groups last."""
    for label in (0, 1):
        mine = rows[open_ & (rows["label"] == label)]
        for split in ("train", "val", "test"):
            current = rows.loc[mine.index].groupby("group", sort=True)["split"].first()
            counts = current.value_counts()
            if counts.get(split, 0) or len(current) < 2:
                continue
            largest = counts.index[0]
            if counts.iloc[0] < 2:
                continue
            moved = current.index[current == largest][-1]
            rows.loc[open_ & (rows["group"] == moved), "split"] = split
    return rows


def _components(keys: list[list[str]]) -> list[str]:
    """Return the smallest key of each row's connected component (union-find)."""
    parent: dict[str, str] = {}

    def find(key: str) -> str:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for row in keys:
        first = find(row[0])
        for key in row[1:]:
            other = find(key)
            if other != first:
                low, high = sorted((first, other))
                parent[high] = low
                first = low
    return [find(row[0]) for row in keys]

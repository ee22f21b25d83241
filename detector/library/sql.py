"""Filters and orders of the library as SQL that SQLite and PostgreSQL both speak."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from detector.errors import LibraryError
from detector.library import schema
from detector.library.types import (
    FRAME_SORTS,
    LIBRARY_SORTS,
    NO_BAND,
    FrameFilter,
    LibraryFilter,
    Moment,
)
from detector.wording import BAND_ORDER


def library_conditions(filter: LibraryFilter) -> list[sa.ColumnElement[bool]]:
    """Return WHERE for analyses, joined by AND."""
    table = schema.analysis.c
    where: list[sa.ColumnElement[bool]] = [
        table.search_text.contains(word, autoescape=True)
        for word in clean(filter.text).casefold().split()
    ]
    if filter.bands:
        unknown = set(filter.bands) - {NO_BAND, *BAND_ORDER}
        if unknown:
            raise LibraryError(
                f"There is no band “{min(unknown)[:40]}”; choose some of: "
                f"{', '.join([*BAND_ORDER, NO_BAND])}."
            )
        ranks = [0 if band == NO_BAND else BAND_ORDER.index(band) + 1 for band in filter.bands]
        where.append(table.band_rank.in_(ranks))
    where += _between(table.created_at, (_first(filter.dates[0]), None))
    if filter.dates[1] is not None:
        where.append(table.created_at < _after(filter.dates[1]))
    where += _between(table.duration, filter.length)
    where += _between(table.faces, filter.faces)
    if filter.model_versions:
        where.append(table.model_version.in_(list(filter.model_versions)))
    for name in clean_tags(filter.tags):
        tagged = sa.select(schema.tag.c.analysis_id).where(schema.tag.c.name == name)
        where.append(table.id.in_(tagged))
    if filter.sha256 is not None:
        where.append(table.sha256 == filter.sha256.lower())
    if filter.ids is not None:
        where.append(_one_of(table.id, filter.ids))
    return where


def library_order(sort: str) -> list[Any]:
    """Return ORDER BY for the library; `sort` is one of `LIBRARY_SORTS`, "-" before it for falling.

    Raises:
        LibraryError: there is no such order.
    """
    table = schema.analysis.c
    named = {
        "created": table.created_at,
        "kept": table.kept_at,
        "name": table.name_key,
        "band": table.band_rank,
    }
    name = sort.removeprefix("-")
    if name not in LIBRARY_SORTS:
        raise _no_order(sort, LIBRARY_SORTS)
    return [
        _directed(named[name] if name in named else table[name], sort),
        _directed(table.id, sort),
    ]


def frame_conditions(filter: FrameFilter) -> list[sa.ColumnElement[bool]]:
    """Return WHERE for rows of `face_score`, joined by AND."""
    table = schema.face_score.c
    where: list[sa.ColumnElement[bool]] = []
    if filter.analyses is not None:
        where.append(_one_of(table.analysis_id, filter.analyses))
    if filter.tracks:
        where.append(_one_of(table.track, filter.tracks))
    if filter.frames:
        where.append(_one_of(table.frame, filter.frames))
    for name in ("score", "time", "size", "sharpness", "brightness"):
        where += _between(table[name], getattr(filter, name))
    if filter.usable is not None:
        where.append(table.usable == filter.usable)
    if filter.disagree:
        where.append(table.disagree == sa.true())
    if filter.faces is not None:
        where.append(table.track.is_not(None) if filter.faces else table.track.is_(None))
    return where


def frame_query(where: Sequence[sa.ColumnElement[bool]], sort: str) -> sa.Select[Any]:
    """Select rows of `face_score` with the clip's name, in that order, or raise LibraryError."""
    table = schema.face_score.c
    place = (table.analysis_id, table.frame, table.place)
    descending = sort.startswith("-")
    name = sort.removeprefix("-")
    if name == "order":
        order = [column.desc() if descending else column for column in place]
    elif name in FRAME_SORTS:
        order = [_directed(table[name], sort), *place]
    elif name.isidentifier():
        # As text from JSON, then as a number: the one form that both databases share.
        logit = table.logits[name].as_float()
        order = [_directed(logit, sort), *place]
    else:
        raise _no_order(sort, FRAME_SORTS)
    return (
        sa.select(schema.face_score, schema.analysis.c.name.label("clip"))
        .join(schema.analysis, schema.analysis.c.id == table.analysis_id)
        .where(*where)
        .order_by(*order)
    )


def _directed(column: Any, sort: str) -> Any:
    return (column.desc() if sort.startswith("-") else column.asc()).nulls_last()


def _no_order(sort: str, known: Iterable[str]) -> LibraryError:
    return LibraryError(f"The library has no order “{sort}”; choose one of: {', '.join(known)}.")


def _between(column: Any, limits: tuple[Any, Any]) -> list[sa.ColumnElement[bool]]:
    low, high = limits
    above = [] if low is None else [column >= low]
    return above if high is None else [*above, column <= high]


def _one_of(column: sa.ColumnElement[Any], values: Collection[int]) -> sa.ColumnElement[bool]:
    # A run of numbers needs no list: selecting a whole library must not meet a limit.
    numbers = sorted({int(value) for value in values})
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return column.between(numbers[0], numbers[-1])
    return column.in_(numbers)


def clean_tags(tags: Iterable[str]) -> list[str]:
    """Return tags without surrounding or repeated blanks, each once."""
    cleaned = (" ".join(clean(tag).split())[:80].strip() for tag in tags)
    return list(dict.fromkeys(tag for tag in cleaned if tag))


def clean(text: str) -> str:
    """Return text that every database takes: no NUL, no halves of surrogate pairs."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _first(moment: Moment | None) -> float | None:
    return None if moment is None else _as_datetime(moment).timestamp()


def _after(moment: Moment) -> float:
    """Return the first instant that no longer belongs to `moment` (a day, or a second)."""
    day = not isinstance(moment, datetime.datetime)
    step = datetime.timedelta(days=1) if day else datetime.timedelta(microseconds=1)
    return (_as_datetime(moment) + step).timestamp()


def _as_datetime(moment: Moment) -> datetime.datetime:
    if not isinstance(moment, datetime.datetime):
        moment = datetime.datetime.combine(moment, datetime.time())
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)

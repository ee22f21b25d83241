"""Check every answer of the sandboxed process before it is believed.

A file may have taken that process over: what it says has the right types and sizes, or is wrong.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from detector.media.clip import Clip

_LONGEST = 1 << 20  # letters of a tag


def whole_number(value: Any, low: int, high: int) -> int:
    """Return `value` if it is a whole number in [low, high]; raises ValueError."""
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{value!r} is no whole number between {low} and {high}")
    return value


_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "str | None": (str, type(None)),
}


def checked_clip(facts: Any) -> Clip:
    """Return the facts of a clip if they are of the right types and sizes.

    Raises:
        KeyError, TypeError, ValueError: they are not.
    """
    if not isinstance(facts, dict):
        raise TypeError("facts are no object")
    for field in dataclasses.fields(Clip):
        value = facts[field.name]
        if type(value) not in _KINDS[str(field.type)]:
            raise TypeError(f"{field.name} is {value!r}")
        if isinstance(value, int | float) and not 0 <= value < 1e18:
            raise ValueError(f"{field.name} is {value!r}")
        if isinstance(value, str) and len(value) > _LONGEST and field.name != "name":
            raise ValueError(f"{field.name} is too long")
    return Clip(**{field.name: facts[field.name] for field in dataclasses.fields(Clip)})


def sentence(value: Any) -> str:
    """Return a sentence for people: printable, on one line, at most 1,000 letters."""
    return printable(value)[:1000].replace("\n", " ")


def printable(value: Any) -> str:
    """Return text that cannot steer a terminal or a log, at most 8,000 letters."""
    return "".join(
        letter if letter.isprintable() or letter == "\n" else " " for letter in str(value)[:8000]
    )

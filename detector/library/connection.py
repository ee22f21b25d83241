"""What a library's parts share: the connection, the owner, the limits of a statement."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any


def within(page: int, total: int, size: int) -> int:
    return min(max(page, 1), max(math.ceil(total / size), 1))


def chunks(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]

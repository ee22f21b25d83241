"""How values pass from one stage of a cluster's scan to the next: as JSON, which runs nothing."""

from __future__ import annotations

import dataclasses
import functools
import json
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Value = TypeVar("Value")


def to_bytes(value: Any) -> bytes:
    """Write a dataclass, or a list of them; names of files that are no text pass too."""
    return json.dumps(value, default=dataclasses.asdict).encode()


def from_bytes(kind: type[Value], data: bytes) -> Value:
    """Return the value of that type, equal to the one that `to_bytes` was given."""
    named: Any = kind
    value: Value = _adapter(named).validate_python(json.loads(data))
    return value


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)

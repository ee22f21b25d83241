"""How values pass from one stage of a cluster's scan to the next: as JSON, which runs nothing."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, TypeVar

from detector.typed_json import adapter

Value = TypeVar("Value")


def to_bytes(value: Any) -> bytes:
    """Write a dataclass, or a list of them; names of files that are no text pass too."""
    return json.dumps(value, default=dataclasses.asdict).encode()


def from_bytes(kind: type[Value], data: bytes) -> Value:
    """The value of that type, equal to the one that `to_bytes` was given."""
    return adapter(kind).validate_python(json.loads(data))

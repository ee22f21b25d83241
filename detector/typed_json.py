"""Frozen dataclasses as JSON: one checked reader and writer a type, made when it is first used.

pydantic is imported then, not before: pages and the command line start without it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Value = TypeVar("Value")


def adapter(kind: type[Value], *, finite: bool = False) -> TypeAdapter[Value]:
    """Return what reads and writes values of a type, the same one for every call.

    It reads with `validate_json` or `validate_python`, which raise ValueError; the caller says
    in one sentence what that means. Fields that the type does not have are left out.

    Args:
        kind: a dataclass, or a list of one.
        finite: of a dataclass, those in its fields included: refuse NaN and infinity. JSON has
            neither, and a score that is no number must not pass for one. A type is always read
            in the same way, since this is kept on the class.
    """
    known: Any = kind
    found: TypeAdapter[Value] = _adapter(known, finite)
    return found


@functools.cache
def _adapter(kind: Any, finite: bool) -> Any:
    from pydantic import ConfigDict, TypeAdapter, with_config

    if finite:
        kind = with_config(ConfigDict(allow_inf_nan=False, extra="ignore"))(kind)
    return TypeAdapter(kind)

"""Memory that was freed goes back to the system, so that others on the machine can have it."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable


def give_back() -> None:
    """Return freed memory; call after something large, not within it: it takes some 50 ms.

    glibc keeps what several threads freed in arenas of their own: after a few maps by Integrated
    Gradients that is most of a gigabyte. Elsewhere this does nothing.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@functools.cache
def _trim() -> Callable[[int], int] | None:
    try:
        found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    except OSError:
        return None
    return found

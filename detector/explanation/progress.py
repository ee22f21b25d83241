"""How far an explanation is, and how it is stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from detector.concurrency.task import CancelCallback, ProgressCallback
from detector.errors import Cancelled

if TYPE_CHECKING:
    from torch import Tensor


class ProgressForward:
    """A forward function that reports how far it is, and stops when asked to.

    Args:
        network: what is called.
        total: crops that will be passed through it.
        progress: told the share that is done, (0, 1], after each call.
        cancelled: asked before each call; True raises `Cancelled`.
    """

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        total: int,
        progress: ProgressCallback | None = None,
        cancelled: CancelCallback | None = None,
    ) -> None:
        self._network = network
        self._total = total
        self._progress = progress
        self._cancelled = cancelled
        self._done = 0

    def __call__(self, crops: Tensor) -> Tensor:
        """Return the network's logits [n] of crops [n, 3, s, s]."""
        stop_if(self._cancelled)
        logits = self._network(crops)
        self._done += len(crops)
        if self._progress:
            self._progress(min(self._done / self._total, 1.0))
        return logits


def stop_if(cancelled: CancelCallback | None) -> None:
    """Raise `Cancelled` where `cancelled` says so."""
    if cancelled and cancelled():
        raise Cancelled("The explanation was stopped; nothing of it was kept.")


def part_of(
    progress: ProgressCallback | None, first: float, last: float
) -> ProgressCallback | None:
    """Return the progress of one part of the work, which reaches from `first` to `last` of it.

    Args:
        progress: of the whole; None where nobody asks.
        first, last: shares of the whole, [0, 1].
    """
    return (lambda share: progress(first + share * (last - first))) if progress else None

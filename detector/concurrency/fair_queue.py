"""A queue that is fair between those who fill it: one item from each in turn."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Items of several owners; each owner's keep their order. Safe under threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lines: dict[Hashable, deque[Item]] = {}  # in order of whose turn it is
        self._closed = False

    def __len__(self) -> int:
        with self._changed:
            return sum(len(line) for line in self._lines.values())

    def put(self, owner: Hashable, item: Item) -> None:
        """Add an item behind the owner's others."""
        with self._changed:
            self._lines.setdefault(owner, deque()).append(item)
            self._changed.notify()

    def get(self) -> Item | None:
        """Wait for the next item and take it; None once the queue is closed."""
        with self._changed:
            while not self._lines and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            owner = next(iter(self._lines))
            line = self._lines.pop(owner)
            item = line.popleft()
            if line:
                self._lines[owner] = line  # behind everybody else
            return item

    def remove(self, owner: Hashable) -> tuple[Item, ...]:
        """Take out all that waits for an owner."""
        with self._changed:
            return tuple(self._lines.pop(owner, ()))

    def withdraw(self, owner: Hashable, item: Item) -> bool:
        """Take one item out before its turn; False where it is not here any more."""
        with self._changed:
            line = self._lines.get(owner, deque())
            if item not in line:
                return False
            line.remove(item)
            if not line:
                del self._lines[owner]
            return True

    def ahead(self, owner: Hashable, item: Item) -> int | None:
        """Return how many items come before this one if no more are put; None if it is not here."""
        with self._changed:
            line = self._lines.get(owner, deque())
            if item not in line:
                return None
            place, before, passed = line.index(item), 0, False
            for other, items in self._lines.items():
                if other == owner:
                    passed = True
                else:
                    before += min(len(items), place + (0 if passed else 1))
            return before + place

    def close(self) -> None:
        """Let everybody who waits in `get` go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

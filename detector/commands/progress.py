"""The bars of progress that commands show on a terminal, on standard error."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self


class ShowProgress(Protocol):
    """Draw a bar anew: `done` of `total` steps; a total of None leaves the last one."""

    def __call__(self, done: int, total: int | None = None) -> None: ...


class ProgressBars:
    """Bars that are there while a `with` block runs; where there is no terminal, nothing is."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress

        terminal = Console(stderr=True)
        self._bars = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=terminal,
            transient=True,
            disable=not terminal.is_terminal,
        )

    def add(self, title: str, total: int | None = None) -> ShowProgress:
        """Add a bar below the others; returns what draws it anew."""
        task = self._bars.add_task(title, total=total)

        def show(done: int, total: int | None = None) -> None:
            self._bars.update(task, completed=done, total=total)

        return show

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bars.stop()

"""A first stage for clips that end the worker which reads them, by their names.

    once…    kills its worker the first time that it is looked at
    always…  kills its worker every time, as soon as there is the file `go`
    late…    waits until the file `go` lies beside the target

Beside the target lies a file `tries-NAME` with a letter for each time that a clip was looked at.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from detector.cluster import stages
from detector.cluster.plan import Plan
from detector.cluster.serialize import from_bytes
from detector.cluster.source import SourceClip

if TYPE_CHECKING:
    import pyarrow


def hostile_look(table: pyarrow.Table, plan: Plan) -> Iterator[pyarrow.Table]:
    """`detector.cluster.stages.look`, with what the names say before."""
    beside = Path(plan.target.place).parent
    for place, cell in enumerate(table["clip"]):
        name = Path(from_bytes(SourceClip, cell.as_py()).path).name
        tries = beside / f"tries-{name}"
        with tries.open("a") as file:
            file.write("x")
        until = time.monotonic() + 120
        while name.startswith(("late", "always")) and not (beside / "go").exists():
            assert time.monotonic() < until, "nobody said go"
            time.sleep(0.05)
        if name.startswith("always") or (name.startswith("once") and tries.stat().st_size == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        yield from stages.look(table.slice(place, 1), plan)

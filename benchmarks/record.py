"""What a benchmark found: rows, the machine it ran on, a table to read and JSON to keep."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import detector

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One line of a benchmark.

    Attributes:
        name: what was done.
        values: figures by name, the unit in the name ("ms a face", "MiB", "ratio").
        target: what one of the figures has to reach, in words; "" where nothing was promised.
        reached: whether it does; None without a target.
    """

    name: str
    values: Mapping[str, float]
    target: str = ""
    reached: bool | None = None


def machine() -> dict[str, object]:
    """The hardware and versions that figures depend on; no name of the machine."""
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    from detector.models.backends import cpu_features

    wanted = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "asimddp")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "instructions": [name for name in wanted if name in cpu_features()],
        "memory GiB": round(memory, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "veriframe": detector.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }


@dataclass(frozen=True)
class Record:
    """One benchmark on one machine."""

    benchmark: str
    title: str
    rows: Sequence[Row]
    notes: Sequence[str] = ()
    machine: Mapping[str, object] = field(default_factory=machine)

    def show(self) -> None:
        """Print the table."""
        print(f"\n{self.title}")
        columns = list(dict.fromkeys(name for row in self.rows for name in row.values))
        print(f"{'':44}" + "".join(f"{name:>16}" for name in columns))
        for row in self.rows:
            cells = (
                f"{row.values[name]:16.2f}" if name in row.values else " " * 16 for name in columns
            )
            verdict = {True: "reached", False: "MISSED", None: ""}[row.reached]
            words = f"  {row.target}: {verdict}" if row.target else ""
            print(f"{row.name:44}" + "".join(cells) + words)
        for note in self.notes:
            print(f"  {note}")

    def save(self, folder: Path) -> Path:
        """Write `folder`/BENCHMARK.json."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.benchmark}.json"
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n")
        return path


def arguments(description: str, repeats: int) -> argparse.Namespace:
    """The options every benchmark has."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=repeats, help=f"default: {repeats}")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write the JSON here")
    return parser.parse_args()


def finish(record: Record, out: Path | None) -> None:
    """Print, and keep where asked."""
    record.show()
    if out is not None:
        record.save(out)


def in_turns(acts: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each act; all take turns, so that a busy moment hits each alike."""
    times: dict[str, list[float]] = {name: [] for name in acts}
    for act in acts.values():
        act()
    for _ in range(repeats):
        for name, act in acts.items():
            started = time.perf_counter()
            act()
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(taken) for name, taken in times.items()}

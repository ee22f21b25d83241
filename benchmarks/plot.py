"""The figures of `benchmarks/results/scoring.json` as the plot in the README.

python -m benchmarks.plot
"""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.record import RESULTS
from detector.files import ASSETS

TARGET = ASSETS / "screenshots" / "scoring.png"


def main(source: Path = RESULTS / "scoring.json", target: Path = TARGET) -> None:
    """Draw and save."""
    record = json.loads(source.read_text())
    rows = sorted(record["rows"], key=lambda row: -row["values"]["ms a face"])
    figure = Figure(figsize=(8, 0.45 * len(rows) + 1.2), layout="constrained", dpi=150)
    axes = figure.subplots()
    bars = axes.barh(
        [row["name"] for row in rows],
        [row["values"]["ms a face"] for row in rows],
        color=["#2563eb" if "Veriframe" in row["name"] else "#94a3b8" for row in rows],
    )
    labels = [
        f"{row['values']['ms a face']:.0f} ms, {row['values']['times eager']:.1f}×" for row in rows
    ]
    axes.bar_label(bars, labels, padding=4)
    axes.set_xlim(0, 1.25 * max(row["values"]["ms a face"] for row in rows))
    axes.set_xlabel("milliseconds a face, both networks; × = times as fast as eager PyTorch")
    hardware = record["machine"]
    axes.set_title(f"{hardware['processor']}, {hardware['cores']} cores", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(target)


if __name__ == "__main__":
    main()

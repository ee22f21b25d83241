"""All benchmarks, each in a process of its own, one after the other.

    python -m benchmarks [NAME …] [--out benchmarks/results]

Prints a table of each and writes it as JSON, with the hardware named. Ratios hold on other
machines, times do not.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

from benchmarks.record import RESULTS

NAMES = (
    "scoring",
    "faces",
    "pipeline",
    "sandbox",
    "length",
    "pages",
    "people",
    "api",
    "cluster",
    "cluster_simulation",
)
# What they stand beside, not part of the app: tests/requirements.txt brings them.
NEEDS = {
    "scoring": "onnxruntime",
    "pages": "playwright",
    "people": "psutil",
    "length": "psutil",
    "cluster": "ray",
    "cluster_simulation": "simpy",
}


def main() -> int:
    """Run what was asked for; the exit code is the number of benchmarks that failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FOLDER")
    options = parser.parse_args()
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"there is no benchmark {sorted(unknown)[0]!r}; choose: {', '.join(NAMES)}")
    failed = 0
    for name in options.names or NAMES:
        needed = NEEDS.get(name)
        if needed and importlib.util.find_spec(needed) is None:
            print(f"{name}: needs {needed}; run make test once, which installs it.")
            failed += 1
            continue
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", "--out", str(options.out)], check=False
        )
        failed += done.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())

"""Splits requirements.lock for an image without CUDA; runs before anything is installed.

Usage: python cpu_lock.py requirements.lock HASHED TORCH. HASHED gets all packages with their
hashes, but for CUDA and PyTorch; TORCH gets the versions of PyTorch, for its index of builds for
processors. The processors' builds need none of the packages that are left out.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

TORCH = ("torch", "torchvision")
CUDA = re.compile(r"(nvidia|cuda)-.*|triton")


def split(lock: str) -> tuple[str, str]:
    """Return the lock without CUDA and PyTorch, and PyTorch's own `name==version` lines."""
    # A package begins at the left margin; its hashes and remarks are indented.
    packages = re.findall(r"^[A-Za-z0-9].*\n(?:[ \t].*\n)*", lock + "\n", re.MULTILINE)
    hashed, torch = [], []
    for package in packages:
        pinned = package.split()[0]
        name = pinned.split("==")[0].split("[")[0]
        if name in TORCH:
            torch.append(pinned + "\n")
        elif not CUDA.fullmatch(name):
            hashed.append(package)
    if len(torch) != len(TORCH):
        raise SystemExit(f"The lock must pin {' and '.join(TORCH)} once each.")
    return "".join(hashed), "".join(torch)


if __name__ == "__main__":
    parts = split(Path(sys.argv[1]).read_text(encoding="utf-8"))
    for target, part in zip(sys.argv[2:4], parts, strict=True):
        Path(target).write_text(part, encoding="utf-8")

"""A tiny labelled set of drawn crops."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np


def draw(label: int, seed: int, side: int = 48) -> np.ndarray:
    """A soft blob; "manipulated" ones carry a bright grid."""
    random = np.random.default_rng(seed)
    small = random.integers(60, 200, (4, 4, 3), dtype=np.uint8)
    image = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)
    if label:
        image[::4] = 255
        image[:, ::4] = 255
    return image


def write_set(root: Path, clips: int = 24) -> Path:
    """A listed set: half of each class, groups of two clips, 16 / 4 / 4 of them by split."""
    rows = []
    for number in range(clips):
        label = number % 2
        split = "train" if number < clips * 2 // 3 else "val" if number % 4 < 2 else "test"
        name = f"{split}/{number:02d}.png"
        (root / split).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / name), draw(label, number)[:, :, ::-1])
        rows.append([name, "drawn", split, label, 1.2, 1.0, 1.2, f"source-{number // 2}"])
    with (root / "index.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            [
                "file",
                "set",
                "split",
                "manipulated",
                "crop_factor",
                "min_factor",
                "max_factor",
                "group",
            ]
        )
        writer.writerows(rows)
    return root

"""Labelled crops and clips made on the spot, and scores of them, for tests of what is measured."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from detector.datasets.labelled import Labelled, open_labelled
from detector.evaluation.scores import LabelledScores
from tests.helpers.crops import blended, original


def write_list(folder: Path, counts: dict[str, tuple[int, int]], name: str = "faces.csv") -> Path:
    """A CSV of crops for each split: so many unaltered and manipulated ones, all different.

    The crops show one shipped portrait, as it is and blended into itself, in other brightness.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for place, (split, numbers) in enumerate(counts.items()):
        for label, count in enumerate(numbers):
            crop = np.array(blended() if label else original())
            for number in range(count):
                file = f"{split}_{label}_{number}.png"
                shade = np.clip(crop * (0.75 + 0.03 * number + 0.01 * place), 0, 255).astype(
                    np.uint8
                )
                shade = shade[number : 304 - number, number : 304 - number]
                cv2.imwrite(str(folder / file), cv2.cvtColor(shade, cv2.COLOR_RGB2BGR))
                rows.append(
                    {"file": file, "split": split, "manipulated": label, "set": "made",
                     "crop_factor": 1.15, "group": f"{split}{number}"}
                )  # fmt: skip
    path = folder / name
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def made_scores(
    count: int = 200,
    frames: int = 1,
    seed: int = 0,
    sets: tuple[str, ...] = ("first", "second"),
    bold: float = 0.4,
) -> LabelledScores:
    """Scores as two networks might give them: Xception sees more, both are too cautious."""
    random = np.random.default_rng(seed)
    clips, faces = {}, []
    for number in range(count):
        label = number % 2
        clips[f"clip {number:04d}"] = {
            "label": label,
            "set": sets[number // 2 % len(sets)],
            "method": ("swap", "blend")[number // 4 % 2] if label else "real",
            "source": f"video {number // 2}",
            "kind": "crop",
            "state": "",
        }
        middle = random.normal(3.0 * (label - 0.5), 1.0)
        for frame in range(frames):
            logit = random.normal(middle, 0.5 if frames > 1 else 0.0)
            faces.append(
                {
                    "clip": f"clip {number:04d}", "frame": frame, "track": 1, "usable": True,
                    "detail": random.normal(-2, 0.3), "size": 150.0, "sharpness": 80.0,
                    "brightness": 110.0, "xception": 3 * logit * bold,
                    "resnet50": random.normal(label - 0.5, 1.0) * bold,
                }
            )  # fmt: skip
    return LabelledScores(
        pd.DataFrame(faces), pd.DataFrame.from_dict(clips, orient="index"),
        ("resnet50", "xception"),
    )  # fmt: skip


def made_labelled(folder: Path) -> Labelled:
    """A few labelled crops, to describe a run with."""
    return open_labelled(write_list(folder, {"test": (2, 2)}))

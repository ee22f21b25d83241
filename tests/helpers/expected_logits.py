"""What the shipped weights say to four fixed crops; `python -m tests.expected_logits` rewrites it.

The crops come from the portraits in assets/samples/portraits, which are in the public domain.
Run it, and look at the difference, after new weights were put into assets/models.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

DATA = Path(__file__).resolve().parents[1] / "data"
EXPECTED = DATA / "expected_logits.json"
NAMES = ("abraham", "eileen", "grace", "tracy")


def crops() -> np.ndarray:
    """The crops of `NAMES`, RGB uint8 [4, 304, 304, 3]."""
    return np.stack([cv2.imread(str(DATA / f"crop_{name}.png"))[..., ::-1] for name in NAMES])


def main() -> None:
    """Score the crops on PyTorch and store what comes out, with the weights' hashes."""
    from detector.models.spec import read_ensemble
    from detector.models.torch_scorer import TorchScorer

    ensemble = read_ensemble()
    logits = TorchScorer(ensemble).logits(crops())
    stored = {
        "weights": {network.name: network.sha256 for network in ensemble.networks},
        "logits": {
            name: {network: round(float(values[place]), 5) for network, values in logits.items()}
            for place, name in enumerate(NAMES)
        },
    }
    EXPECTED.write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Face detector and scorer that answer at once, for tests of what lies around them.

The detector reads the number that a frame of `tests.clips` spells; the scorer reads how bright a
crop is. Neither stands in where what the networks say is tested.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from detector.analysis.engine import Engine
from detector.faces.face import Face
from detector.models.scorer import Scorer
from detector.models.spec import read_ensemble
from tests.helpers.clips import number_of

Script = Callable[[int], list[tuple[float, float]]]


def one_face(number: int) -> list[tuple[float, float]]:
    """The same face in every frame."""
    return [(30.0, 20.0)]


class ScriptedFaces:
    """Finds faces of 60 px whose corners the script gives for the number of each frame."""

    name = "scripted"

    def __init__(self, script: Script) -> None:
        self.script = script
        self.seen: list[int] = []

    def detect(self, image: np.ndarray) -> tuple[Face, ...]:
        number = number_of(image)
        self.seen.append(number)
        return tuple(
            Face((x, y, x + 60, y + 60), ((x, y),) * 6, 0.9) for x, y in self.script(number)
        )


class BrightnessScorer:
    """Logits from the mean of a crop: ResNet50 that mean / 100, Xception a tenth of it."""

    backend, device, precision, batch = "stand-in", "none", "f32", 8

    def __init__(self) -> None:
        self.ensemble = read_ensemble()
        self.batches: list[int] = []

    def logits(self, crops: np.ndarray) -> dict[str, np.ndarray]:
        self.batches.append(len(crops))
        mean = crops.mean(axis=(1, 2, 3)) / 100
        return {
            "resnet50": mean.astype(np.float32),
            "xception": (mean / 10).astype(np.float32),
        }


class StandInEngine(Engine):
    """An engine whose models are the two above; `gate`, when given, is passed by each frame."""

    def __init__(self, script: Script = one_face, gate: threading.Semaphore | None = None) -> None:
        super().__init__()
        self.faces = ScriptedFaces(self._gated(script, gate))
        self.brightness = BrightnessScorer()

    @staticmethod
    def _gated(script: Script, gate: threading.Semaphore | None) -> Script:
        def wait(number: int) -> list[tuple[float, float]]:
            assert gate is not None
            assert gate.acquire(timeout=60)
            return script(number)

        return script if gate is None else wait

    def face_detector(self, name: str) -> Any:
        return self.faces

    def load(self, backend: str, models: str = "") -> Scorer:
        return self.brightness

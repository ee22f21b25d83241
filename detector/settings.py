"""How to look at a clip: what a person may choose, and nothing that has to be loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

DetectorName = Literal["blazeface-full", "blazeface-short", "mediapipe-full", "mediapipe-short"]
DETECTORS: tuple[DetectorName, ...] = get_args(DetectorName)

Backend = Literal[
    "auto", "openvino-int8", "openvino-f32", "openvino-bf16", "torch-cpu", "torch-cuda"
]
BACKENDS: tuple[Backend, ...] = get_args(Backend)

DEFAULT_FRAMES = 32


@dataclass(frozen=True)
class Settings:
    """How to look at a clip.

    Attributes:
        frames: frames to analyse, evenly over time; None for every frame.
        face_detector: one of `DETECTORS`.
        backend: one of `BACKENDS`.
        models: name of an installed ensemble, see `detector.models.installed`; "" for the default.

    Examples:
        >>> from detector import Settings
        >>> Settings()
        Settings(frames=32, face_detector='blazeface-full', backend='auto', models='')
        >>> every_frame = Settings(frames=None, backend="openvino-f32")
    """

    frames: int | None = DEFAULT_FRAMES
    face_detector: DetectorName = "blazeface-full"
    backend: Backend = "auto"
    models: str = ""

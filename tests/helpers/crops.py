"""Face crops of the shipped samples, cut as the pipeline cuts them."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.faces.blazeface import BlazeFace
from detector.faces.geometry import crop_face
from detector.files import ASSETS
from detector.media.reader import frame_at
from detector.models.spec import read_ensemble


@functools.cache
def crop_of(clip: str, seconds: float = 1.2) -> NDArray[np.uint8]:
    """The first face of `assets/samples/CLIP.mp4` at a time, as the networks see it."""
    spec = read_ensemble()
    frame = frame_at(ASSETS / "samples" / f"{clip}.mp4", seconds)
    face = BlazeFace().detect(frame.image)[0]
    crop = crop_face(frame.image, face.box, spec.crop_factor, spec.crop_size)
    crop.flags.writeable = False  # shared by all tests
    return crop


def original() -> NDArray[np.uint8]:
    """A face of the untouched demonstration clip."""
    return crop_of("demo_original_hopper")


def blended() -> NDArray[np.uint8]:
    """The same face, blended into itself."""
    return crop_of("demo_selfblend_hopper")


def as_tensor(crop: NDArray[np.uint8]) -> Any:
    """float32 [1, 3, s, s] in [0, 1]."""
    import torch

    return torch.from_numpy(np.array(crop)).permute(2, 0, 1)[None].float() / 255

"""Faces followed over time: boxes and their look, frame after frame, become tracks.

A face continues a track when it looks like it; where boxes overlap, the look may change more.
So two people in one clip stay two tracks, also when a cut puts one in the other's place.
The look is a 12 x 12 picture of the crop, far too coarse to tell who a person is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.faces.face import Face, Image
from detector.faces.geometry import crop_face, iou
from detector.faces.quality import measure
from detector.media.clip import Frame
from detector.models.spec import EnsembleSpec
from detector.result import Quality

OVERLAP = 0.3
# On the sample clips one person's crops differ by at most 0.5, two people's by at least 0.74
# and, where they stand in the same place, by 0.93.
ALIKE_OVERLAPPING = 0.9
ALIKE_ELSEWHERE = 0.6


@dataclass
class _Followed:
    id: int
    box: NDArray[np.float64]
    look: NDArray[np.float32]
    mean: NDArray[np.float32] = field(init=False)

    def __post_init__(self) -> None:
        self.mean = self.look

    def update(self, box: NDArray[np.float64], look: NDArray[np.float32]) -> None:
        self.box, self.look = box, look
        self.mean = 0.8 * self.mean + 0.2 * look


class Tracker:
    """Gives every face the number of its track; frames must come in order."""

    def __init__(self) -> None:
        self._followed: list[_Followed] = []

    def update(self, faces: Sequence[Face], crops: Sequence[Image]) -> list[int]:
        """Return the numbers, from 1, of the tracks of one frame's faces.

        Args:
            faces: of this frame.
            crops: of the same faces, RGB uint8 [s, s, 3].
        """
        boxes = [np.asarray(face.box) for face in faces]
        looks = [_look(crop) for crop in crops]
        costs = []
        for place, (box, look) in enumerate(zip(boxes, looks, strict=True)):
            for followed in self._followed:
                distance = min(
                    float(np.linalg.norm(look - followed.look)),
                    float(np.linalg.norm(look - followed.mean)),
                )
                overlap = float(iou(box, followed.box[None])[0])
                if distance < (ALIKE_OVERLAPPING if overlap > OVERLAP else ALIKE_ELSEWHERE):
                    costs.append((distance - overlap, place, followed))
        ids: dict[int, int] = {}
        for _, place, followed in sorted(costs, key=lambda cost: cost[:2]):
            if place not in ids and followed.id not in ids.values():
                ids[place] = followed.id
                followed.update(boxes[place], looks[place])
        for place, (box, look) in enumerate(zip(boxes, looks, strict=True)):
            if place not in ids:
                ids[place] = len(self._followed) + 1
                self._followed.append(_Followed(ids[place], box, look))
        return [ids[place] for place in range(len(faces))]


def _look(crop: Image) -> NDArray[np.float32]:
    """Return what a face looks like from afar: light without its strength, and colour, [432]."""
    small = cv2.resize(crop, (48, 48), interpolation=cv2.INTER_AREA)
    lab = cv2.resize(
        cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.float32),
        (12, 12),
        interpolation=cv2.INTER_AREA,
    )
    light = lab[..., :1]
    light = (light - light.mean()) / (light.std() + 1e-6)
    colour = (lab[..., 1:] - 128) / 12
    look = np.concatenate([light, colour], axis=-1).ravel()
    return np.asarray(look / np.sqrt(look.size), dtype=np.float32)


@dataclass(frozen=True)
class FrameFaces:
    """A frame whose faces are not scored yet; without its picture, to hold no memory.

    Attributes:
        index, time: as in `Frame`.
        faces: of each, the number of its track, the face, and what may make it hard to judge.
    """

    index: int
    time: float
    faces: tuple[tuple[int, Face, Quality], ...]


def track_faces(
    frame: Frame, faces: Sequence[Face], tracker: Tracker, ensemble: EnsembleSpec
) -> tuple[FrameFaces, list[Image]]:
    """Cut a frame's faces out, follow them and measure them; frames must come in order.

    Returns:
        The frame without its picture, and the crop of each face, RGB uint8 [s, s, 3] with
        s = `ensemble.crop_size`.
    """
    crops = [
        crop_face(frame.image, face.box, ensemble.crop_factor, ensemble.crop_size) for face in faces
    ]
    ids = tracker.update(faces, crops)
    measured = tuple(
        (track, face, measure(face, crop))
        for track, face, crop in zip(ids, faces, crops, strict=True)
    )
    return FrameFaces(frame.index, frame.time, measured), crops

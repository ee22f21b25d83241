"""Boxes and key points drawn on a frame."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from detector.media.clip import Image
from detector.palette import track_colour
from detector.result import ScoredFace


def decode(picture: bytes) -> Image:
    """Return RGB uint8 [h, w, 3] from JPEG or PNG bytes.

    Raises:
        ValueError: the bytes are no picture.
    """
    image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError("these bytes are no JPEG or PNG picture")
    return np.ascontiguousarray(image[..., ::-1], np.uint8)


def draw_faces(
    image: Image,
    faces: Iterable[ScoredFace],
    width: int,
    chosen: int | None = None,
    key_points: bool = False,
    boxes: bool = True,
) -> Image:
    """Copy a frame and draw a box and the number of the track around each face.

    Args:
        image: RGB uint8 [h, w, 3], a preview of the frame.
        faces: with boxes in pixels of the frame.
        width: of the frame, pixels, to which the boxes refer.
        chosen: track whose box is drawn thick.
        key_points: also draw eyes, nose, mouth and ears.
        boxes: draw the boxes and numbers.
    """
    drawn = image.copy()
    scale = image.shape[1] / width
    unit = max(image.shape[1] / 640, 0.6)
    for face in faces:
        colour = _rgb(track_colour(face.track))
        if boxes:
            _draw_box(drawn, face, scale, unit, thick=4 if face.track == chosen else 2)
        if key_points:
            for x, y in face.key_points:
                centre = (round(x * scale), round(y * scale))
                cv2.circle(drawn, centre, round(4 * unit), (255, 255, 255), -1, cv2.LINE_AA)
                cv2.circle(drawn, centre, round(3 * unit), colour, -1, cv2.LINE_AA)
    return drawn


def _draw_box(drawn: Image, face: ScoredFace, scale: float, unit: float, thick: float) -> None:
    """Draw the box of a face and the number of its track, lines `thick` units wide."""
    colour = _rgb(track_colour(face.track))
    left, top, right, bottom = (round(value * scale) for value in face.box)
    thick = round(thick * unit)
    # White below colour: visible on dark and light skin and clothes alike.
    cv2.rectangle(drawn, (left, top), (right, bottom), (255, 255, 255), thick + 2)
    cv2.rectangle(drawn, (left, top), (right, bottom), colour, thick)
    label = str(face.track)
    (wide, high), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, 0.6 * unit, 2)
    y = max(top, high + 8)
    cv2.rectangle(drawn, (left, y - high - 8), (left + wide + 10, y), colour, -1)
    font, white = cv2.FONT_HERSHEY_SIMPLEX, (255, 255, 255)
    cv2.putText(drawn, label, (left + 5, y - 4), font, 0.6 * unit, white, 2, cv2.LINE_AA)


def _rgb(colour: str) -> tuple[int, int, int]:
    """Return "#rrggbb" as three numbers, [0, 255]."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)

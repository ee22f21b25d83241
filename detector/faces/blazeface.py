"""Faces in a frame: BlazeFace boxes with key points, and the crops that networks see.

BlazeFace (Bazarevsky et al. 2019) finds faces and 6 key points; the paper uses it for every
frame. The default runs Google's own files on OpenVINO, without any network access;
`detector.mediapipe_faces` runs the same files through MediaPipe.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from detector import openvino_core
from detector.errors import ModelError
from detector.weights import MODELS

Image = NDArray[np.uint8]
Range = Literal["full", "short"]

KEY_POINTS = ("right eye", "left eye", "nose tip", "mouth centre", "right ear", "left ear")
MIN_SCORE = 0.5
CERTAIN = 0.75  # full range above this needs no second look
MIN_OVERLAP = 0.3  # boxes that overlap more are one face; MediaPipe's own value


@dataclass(frozen=True)
class Face:
    """One detected face.

    Attributes:
        box: left, top, right, bottom in pixels of the frame; may reach beyond its border.
        key_points: six (x, y) in pixels, in the order of `KEY_POINTS`.
        score: certainty that this is a face, [0, 1].
    """

    box: tuple[float, float, float, float]
    key_points: tuple[tuple[float, float], ...]
    score: float

    @property
    def size(self) -> float:
        """Larger side of the box, pixels."""
        left, top, right, bottom = self.box
        return max(right - left, bottom - top)


class FaceDetector(Protocol):
    """Anything that finds faces in a frame."""

    name: str

    def detect(self, image: Image) -> tuple[Face, ...]:
        """Faces in an RGB image uint8 [h, w, 3], most certain first."""
        ...


@dataclass(frozen=True)
class _Layout:
    """Input side and the SSD anchor grid: (stride, anchors in a cell) for each output map."""

    side: int
    grids: tuple[tuple[int, int], ...]


_LAYOUTS: dict[str, _Layout] = {
    "full": _Layout(192, ((4, 1),)),
    "short": _Layout(128, ((8, 2), (16, 6))),
}


class BlazeFace:
    """BlazeFace on OpenVINO; one instance serves any number of threads.

    Args:
        range: "full" (192 px input, faces to about 5 m) or "short" (128 px, to about 2 m).
        min_score: faces less certain than this are left out, [0, 1].

    Raises:
        ModelError: the model file is missing or damaged.
    """

    def __init__(self, range: Range = "full", min_score: float = MIN_SCORE) -> None:
        if range not in _LAYOUTS:
            raise ModelError(f"BlazeFace has no range {range!r}; choose full or short.")
        self.name = f"blazeface-{range}"
        self.min_score = min_score
        self._layout = _LAYOUTS[range]
        self._anchors = _anchors(self._layout)
        path = model_file(range)
        try:
            core = openvino_core.core()
            self._model = core.compile_model(
                core.read_model(path),
                "CPU",
                # A second thread would be taken from the networks that score meanwhile.
                {
                    "INFERENCE_PRECISION_HINT": "f32",
                    "INFERENCE_NUM_THREADS": 1,
                    **openvino_core.SHARED_CORES,
                },
            )
        except RuntimeError as error:
            raise ModelError(
                f"{path.name} cannot be read; restore assets/models from the repository."
            ) from error

    def detect(self, image: Image) -> tuple[Face, ...]:
        """Faces in an RGB image uint8 [h, w, 3], most certain first."""
        side = self._layout.side
        tensor, scale, offset = _letterbox(image, side)
        # A request of its own for each call: requests are not safe to share between threads.
        request = self._model.create_infer_request()
        request.infer({0: tensor})
        regressors = request.get_output_tensor(0).data[0]
        logits = request.get_output_tensor(1).data[0, :, 0]
        scores = 1 / (1 + np.exp(-np.clip(logits, -80, 80)))
        keep = scores >= self.min_score
        values = regressors[keep].reshape(-1, 8, 2).astype(np.float64)
        anchors = self._anchors[keep]
        points = values / side
        points[:, 1] /= 2  # row 1 is width and height: from here on, half of them
        centres = points[:, 0] + anchors
        corners = np.concatenate([centres - points[:, 1], centres + points[:, 1]], axis=1)
        found = np.concatenate(
            [corners, (points[:, 2:] + anchors[:, None]).reshape(len(corners), 12)], axis=1
        )
        merged = _weighted_nms(found, scores[keep])
        faces = []
        for values_, score in merged:
            xy = (values_.reshape(8, 2) * side - offset) / scale
            faces.append(
                Face(
                    box=tuple(float(v) for v in xy[:2].ravel()),  # type: ignore[arg-type]
                    key_points=tuple((float(x), float(y)) for x, y in xy[2:]),
                    score=float(score),
                )
            )
        return tuple(faces)


class ConfirmedFaces:
    """BlazeFace full range, whose uncertain finds are looked at again, close up, by short range.

    Full range alone takes textures for faces at scores of 0.5 to 0.66 (a technician's hood on
    the Webb telescope's mirror); short range, on the surroundings of the find, refuses them.

    Args:
        min_score: finds less certain than this are left out, [0, 1].
    """

    def __init__(self, min_score: float = MIN_SCORE) -> None:
        self._far = BlazeFace("full", min_score)
        self._near = BlazeFace("short", 0.75)
        self.name = self._far.name

    def detect(self, image: Image) -> tuple[Face, ...]:
        """Faces in an RGB image uint8 [h, w, 3], most certain first."""
        return tuple(
            face
            for face in self._far.detect(image)
            if face.score >= CERTAIN or self._near.detect(crop_face(image, face.box, 2.5, 256))
        )


def model_file(range: Range) -> Path:
    """The TFLite file of BlazeFace; raises ModelError where it is missing."""
    path = MODELS / "blazeface" / f"blazeface_{range}_range.tflite"
    if not path.is_file():
        raise ModelError(f"{path.name} is missing; restore assets/models from the repository.")
    return path


def crop_face(
    image: Image, box: tuple[float, float, float, float], factor: float, size: int
) -> Image:
    """The square around a face, as the networks see it.

    Args:
        image: RGB uint8 [h, w, 3].
        box: left, top, right, bottom in pixels.
        factor: side of the square / larger side of the box (1.15 for the shipped networks).
        size: side of the crop that is returned, pixels.

    Returns:
        RGB uint8 [size, size, 3]; the image is reflected at its border, and area-filtered
        where the crop shrinks it.
    """
    left, top, right, bottom = box
    side = max(round(max(right - left, bottom - top) * factor), 2)
    x = round((left + right - side) / 2)
    y = round((top + bottom - side) / 2)
    height, width = image.shape[:2]
    inside = image[max(y, 0) : max(y + side, 0), max(x, 0) : max(x + side, 0)]
    if inside.shape[:2] != (side, side):
        # One index vector an axis reflects any distance, also beyond one image width.
        rows = _reflect(np.arange(y, y + side), height)
        columns = _reflect(np.arange(x, x + side), width)
        inside = image[rows[:, None], columns[None, :]]
    filter_ = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    crop: Image = cv2.resize(  # type: ignore[assignment]
        np.ascontiguousarray(inside), (size, size), interpolation=filter_
    )
    return crop


def _reflect(index: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Indices folded back into [0, length), as cv2.BORDER_REFLECT_101 does."""
    if length == 1:
        return np.zeros_like(index)
    period = 2 * (length - 1)
    folded = np.abs(index) % period
    return np.where(folded >= length, period - folded, folded)


@functools.lru_cache(maxsize=2)
def _anchors(layout: _Layout) -> NDArray[np.float64]:
    """Centres of the SSD anchors [n, 2], x and y, in units of the input's side."""
    grids = []
    for stride, in_cell in layout.grids:
        cells = layout.side // stride
        y, x = np.mgrid[:cells, :cells]
        centres = (np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) / cells
        grids.append(np.repeat(centres, in_cell, axis=0))
    return np.concatenate(grids)


def _letterbox(image: Image, side: int) -> tuple[NDArray[np.float32], float, NDArray[np.float64]]:
    """The image in the middle of a black square, in [-1, 1], with the scale and offset used."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    offset = np.array([(side - width * scale) / 2, (side - height * scale) / 2])
    # Corner to corner, bilinear, without the half-pixel shift: MediaPipe's own converter does
    # so, and an area filter or the shift moves boxes by up to 15 % on large frames.
    matrix = np.array([[scale, 0, offset[0]], [0, scale, offset[1]]])
    boxed = cv2.warpAffine(
        image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    tensor = boxed.astype(np.float32) * np.float32(1 / 127.5) - np.float32(1)
    return tensor[None], scale, offset


def _weighted_nms(
    found: NDArray[np.float64], scores: NDArray[np.float64]
) -> list[tuple[NDArray[np.float64], float]]:
    """Overlapping detections averaged by score, as BlazeFace's authors do to stop jitter."""
    order = np.argsort(-scores, kind="stable")
    merged = []
    while len(order):
        best = order[0]
        overlap = iou(found[best, :4], found[order, :4])
        together = overlap > MIN_OVERLAP
        together[0] = True  # a box without area overlaps nothing, not even itself
        group = order[together]
        weights = scores[group][:, None]
        merged.append(((found[group] * weights).sum(axis=0) / weights.sum(), scores[best]))
        order = order[~together]
    return merged


def iou(box: NDArray[np.float64], boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union [n] of one box [4] with boxes [n, 4] (left, top, right, bottom)."""
    width = np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0])
    height = np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1])
    shared = np.clip(width, 0, None) * np.clip(height, 0, None)
    area = (box[2] - box[0]) * (box[3] - box[1])
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    union = area + areas - shared
    return np.where(union > 0, shared / np.where(union > 0, union, 1), 0.0)

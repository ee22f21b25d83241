"""Faces in a frame: BlazeFace boxes with key points, and the crops that networks see.

BlazeFace (Bazarevsky et al. 2019) finds faces and 6 key points; the paper uses it for every
frame. The default runs Google's own files on OpenVINO, without any network access;
`detector.faces.mediapipe` runs the same files through MediaPipe.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.errors import ModelError
from detector.faces.face import MIN_SCORE, Face, Image
from detector.faces.geometry import crop_face, weighted_nms
from detector.files import MODELS
from detector.models import openvino_runtime
from detector.models.ensemble import sigmoid

Range = Literal["full", "short"]

CERTAIN = 0.75  # full range above this needs no second look


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
        reach: "full" (192 px input, faces to about 5 m) or "short" (128 px, to about 2 m).
        min_score: faces less certain than this are left out, [0, 1].

    Raises:
        ModelError: the model file is missing or damaged.
    """

    def __init__(self, reach: Range = "full", min_score: float = MIN_SCORE) -> None:
        if reach not in _LAYOUTS:
            raise ModelError(f"BlazeFace has no range {reach!r}; choose full or short.")
        self.name = f"blazeface-{reach}"
        self.min_score = min_score
        self._layout = _LAYOUTS[reach]
        self._anchors = _anchors(self._layout)
        path = model_file(reach)
        try:
            core = openvino_runtime.core()
            self._model = core.compile_model(
                core.read_model(path),
                "CPU",
                # A second thread would be taken from the networks that score meanwhile.
                {
                    "INFERENCE_PRECISION_HINT": "f32",
                    "INFERENCE_NUM_THREADS": 1,
                    **openvino_runtime.SHARED_CORES,
                },
            )
        except RuntimeError as error:
            raise ModelError(
                f"{path.name} cannot be read; restore assets/models from the repository."
            ) from error

    def detect(self, image: Image) -> tuple[Face, ...]:
        """Return the faces in an RGB image uint8 [h, w, 3], most certain first."""
        side = self._layout.side
        tensor, scale, offset = _letterbox(image, side)
        # A request of its own for each call: requests are not safe to share between threads.
        request = self._model.create_infer_request()
        request.infer({0: tensor})
        regressors = request.get_output_tensor(0).data[0]
        logits = request.get_output_tensor(1).data[0, :, 0]
        scores = sigmoid(logits)
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
        merged = weighted_nms(found, scores[keep])
        faces = []
        for values_, score in merged:
            xy = (values_.reshape(8, 2) * side - offset) / scale
            faces.append(
                Face(
                    box=(float(xy[0, 0]), float(xy[0, 1]), float(xy[1, 0]), float(xy[1, 1])),
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
        """Return the faces in an RGB image uint8 [h, w, 3], most certain first."""
        return tuple(
            face
            for face in self._far.detect(image)
            if face.score >= CERTAIN or self._near.detect(crop_face(image, face.box, 2.5, 256))
        )


def model_file(reach: Range) -> Path:
    """Return the path of the TFLite file of BlazeFace; raises ModelError where it is missing."""
    path = MODELS / "blazeface" / f"blazeface_{reach}_range.tflite"
    if not path.is_file():
        raise ModelError(f"{path.name} is missing; restore assets/models from the repository.")
    return path


@functools.lru_cache(maxsize=2)
def _anchors(layout: _Layout) -> NDArray[np.float64]:
    """Return the centres of the SSD anchors [n, 2], x and y, in units of the input's side."""
    grids = []
    for stride, in_cell in layout.grids:
        cells = layout.side // stride
        y, x = np.mgrid[:cells, :cells]
        centres = (np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) / cells
        grids.append(np.repeat(centres, in_cell, axis=0))
    return np.concatenate(grids)


def _letterbox(image: Image, side: int) -> tuple[NDArray[np.float32], float, NDArray[np.float64]]:
    """Put an image in the middle of a black square, in [-1, 1]; return scale and offset too."""
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

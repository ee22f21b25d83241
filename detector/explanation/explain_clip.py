"""`python -m detector explain`: one frame of a clip, its face, and where the score comes from.

Writes a picture, the numbers behind it and a description, each under one name:
`CLIP_1.20s_face0_grad-cam_resnet50-48.png`, `.npz`, `.json`.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from detector.concurrency.task import ProgressCallback
from detector.errors import ExplanationError
from detector.explanation.faithfulness import Faithfulness, faithfulness
from detector.explanation.heatmaps import png_bytes
from detector.explanation.layers import layer
from detector.explanation.methods.registry import FIRST_METHOD
from detector.explanation.progress import part_of
from detector.explanation.result import Explanation
from detector.faces.blazeface import ConfirmedFaces
from detector.faces.face import Face
from detector.faces.geometry import crop_face
from detector.files import atomic_write
from detector.media.clip import Image
from detector.media.sandboxed_clip import frame_at
from detector.models.networks.registry import ENSEMBLE

if TYPE_CHECKING:
    from detector.explanation.explainer import Explainer


@dataclass(frozen=True, eq=False)
class FaceExplanation:
    """One explained face of a clip.

    Attributes:
        clip: name of the file.
        frame: index of the frame in the clip.
        time: presentation time of the frame, seconds.
        face: where it was found.
        number: the face's place among those of the frame, from the left, from 0.
        crop: RGB uint8 [s, s, 3], what the networks saw.
        explanation: of that crop.
        faithfulness: of the explanation, where it was asked for.
    """

    clip: str
    frame: int
    time: float
    face: Face
    number: int
    crop: Image
    explanation: Explanation
    faithfulness: Faithfulness | None


def explain(
    path: Path | str,
    seconds: float = 0.0,
    method: str = FIRST_METHOD,
    network: str | None = None,
    address: str | None = None,
    *,
    number: int = 0,
    check: bool = False,
    progress: ProgressCallback | None = None,
    explainer: Explainer | None = None,
    **settings: int,
) -> FaceExplanation:
    """Explain a face of the frame that a clip shows at a time.

    Args:
        path: a clip or picture.
        seconds: the frame on screen at this time is taken.
        method: a name in `detector.explanation.methods.registry.METHODS`.
        network: name of a network, or "ensemble"; by default that of `address`, or the
            ensemble.
        address: layer for a layered method such as Grad-CAM, e.g. "resnet50:48".
        number: which face, counted from the left, from 0.
        check: test the map for faithfulness too.
        progress: told the share that is done, (0, 1].
        explainer: by default the process's own.
        settings: of the method, as `Explainer.attribute` takes them: `steps`, `windows`.

    Raises:
        ClipError: the clip cannot be read.
        ExplanationError: there is no such face, layer, method or network.

    Examples:
        >>> from detector import explain
        >>> found = explain("assets/samples/demo_selfblend_hopper.mp4", 1.0, network="xception")
        >>> found.explanation.method, found.explanation.map.shape
        ('grad-cam', (304, 304))
        >>> left, top, right, bottom = found.face.box
    """
    path = Path(path)
    from detector.explanation.explainer import Explainer

    found_layer = layer(address) if address else None  # a wrong address fails before any work
    network = network or (found_layer.network if found_layer else ENSEMBLE)
    explainer = explainer or Explainer.load()
    frame = frame_at(path, seconds)
    faces = sorted(ConfirmedFaces().detect(frame.image), key=lambda face: face.box[0])
    if not faces:
        raise ExplanationError(
            f"No face was found in {path.name} at {frame.time:.2f} s; choose another time."
        )
    if not 0 <= number < len(faces):
        raise ExplanationError(
            f"{path.name} has {len(faces)} face{'s' if len(faces) > 1 else ''} at "
            f"{frame.time:.2f} s; choose face 0{f' to {len(faces) - 1}' if len(faces) > 1 else ''}."
        )
    spec = explainer.spec
    crop = crop_face(frame.image, faces[number].box, spec.crop_factor, spec.crop_size)
    first = 0.5 if check else 1.0  # share of the progress that the map itself gets
    explanation = explainer.attribute(
        crop,
        method,
        network,
        address,
        progress=part_of(progress, 0, first),
        cancelled=None,
        **settings,
    )
    tested = (
        faithfulness(explainer, crop, explanation, progress=part_of(progress, first, 1))
        if check
        else None
    )
    return FaceExplanation(
        path.name, frame.index, frame.time, faces[number], number, crop, explanation, tested
    )


def write(result: FaceExplanation, folder: Path, opacity: float) -> tuple[Path, Path, Path]:
    """Write the picture, the arrays and the description: all three, or none.

    Args:
        result: what to write.
        folder: made where it is missing.
        opacity: of the map over the face, [0, 1].

    Returns:
        paths of the PNG, the NPZ and the JSON file.

    Raises:
        ExplanationError: the folder cannot be written to.
    """
    explanation = result.explanation
    where = "-".join(explanation.layers).replace(":", "-") or explanation.network
    name = (
        f"{Path(result.clip).stem}_{result.time:.2f}s_face{result.number}_"
        f"{explanation.method}_{where}"
    )
    contents = {
        ".png": png_bytes(explanation.overlay(result.crop, opacity)),
        ".npz": explanation.npz(result.crop),
        ".json": (json.dumps(_description(result), indent=1) + "\n").encode(),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as drafts:  # all are written before the first is moved
            for suffix, content in contents.items():
                draft = drafts.enter_context(atomic_write(folder / (name + suffix)))
                draft.write_bytes(content)
    except OSError as error:
        raise ExplanationError(
            f"Nothing can be written to {folder} ({error.strerror}); choose another folder."
        ) from error
    picture, arrays, description = (folder / (name + suffix) for suffix in contents)
    return picture, arrays, description


def _description(result: FaceExplanation) -> dict[str, object]:
    """Return everything but pictures and arrays, ready for JSON."""
    return {
        "clip": result.clip,
        "frame": result.frame,
        "time": result.time,
        "face": {
            "number": result.number,
            "box": list(result.face.box),
            "score": result.face.score,
        },
        **result.explanation.describe(),
        "sign": "above 0 raises the manipulation logit, below 0 lowers it",
        "faithfulness": result.faithfulness.describe() if result.faithfulness else None,
    }

"""The demonstration pair: one public-domain portrait as a clip, untouched and self-blended.

A self-blended image (Shiohara and Yamasaki, CVPR 2022) is a face blended into itself through a
soft mask, after one of the two copies was altered in colour, sharpness, place and size. It carries
the trace that face swaps leave, a blending boundary, and yet shows nobody but the person who was
photographed. Both clips pan, zoom and are encoded in the same way, so that the blend is all that
sets them apart. Made with `python -m detector.training.demonstration`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from detector.errors import ExplanationError
from detector.faces.blazeface import BlazeFace
from detector.faces.face import Face
from detector.files import ASSETS, atomic_write

Image = NDArray[np.uint8]

PORTRAIT = ASSETS / "samples" / "portraits" / "grace_hopper_usnavy.jpg"
SECONDS = 3.0
RATE = 25


@dataclass(frozen=True)
class SelfBlend:
    """How one copy of the face is altered, and how it is blended into the other.

    Attributes:
        ratio: opacity of the altered copy inside the mask, [0, 1].
        shift: by which the copy is moved, right and down, as shares of the face box.
        scale: by which the copy is enlarged about the middle of the face.
        gains: red, green and blue are multiplied by these.
        contrast: about the copy's mean, 1 = unchanged.
        softness: standard deviation of a blur of the copy, as a share of the face box.
        width, height: half axes of the elliptical mask, as shares of the face box.
        feather: standard deviation of the blur of the mask's edge, as a share of the face box.
    """

    ratio: float = 1.0
    shift: tuple[float, float] = (0.02, 0.015)
    scale: float = 1.04
    gains: tuple[float, float, float] = (1.16, 1.0, 0.82)
    contrast: float = 0.95
    softness: float = 0.004
    width: float = 0.40
    height: float = 0.50
    feather: float = 0.02


def self_blended(image: Image, face: Face, blend: SelfBlend) -> Image:
    """Blend the face of a picture into itself.

    Args:
        image: RGB uint8 [h, w, 3].
        face: where the face is, from `detector.faces.blazeface`.
        blend: how.

    Returns:
        RGB uint8, shape as `image`.
    """
    altered = _altered(image, face, blend)
    mask = (_mask(image, face, blend) * blend.ratio)[..., None]
    mixed = altered * mask + image.astype(np.float32) * (1 - mask)
    return np.asarray(np.clip(np.rint(mixed), 0, 255), dtype=np.uint8)


def pan_and_zoom(
    image: Image, face: Face, side: int = 480, frames: int = round(SECONDS * RATE)
) -> Iterator[Image]:
    """Yield what a slow camera sees of a still picture, with the face always in view.

    Args:
        image: RGB uint8 [h, w, 3].
        face: what the camera moves in on.
        side: of the frames, pixels; even.
        frames: how many.

    Returns:
        RGB uint8 [side, side, 3] each.
    """
    middle = _middle(face)
    height, width = image.shape[:2]
    start = min(height, width, 2.6 * face.size)
    for number in range(frames):
        share = number / max(frames - 1, 1)
        eased = share * share * (3 - 2 * share)
        window = start * (1 - 0.22 * eased)
        # The camera drifts across the face and comes to rest on it.
        x = middle[0] + (0.10 - 0.16 * eased) * face.size - window / 2
        y = middle[1] + (0.06 - 0.10 * eased) * face.size - window / 2
        x, y = np.clip(x, 0, width - window), np.clip(y, 0, height - window)
        zoom = side / window
        matrix = np.array([[zoom, 0, -x * zoom], [0, zoom, -y * zoom]])
        frame = cv2.warpAffine(
            image, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
        )
        yield np.asarray(frame, dtype=np.uint8)


def encode(frames: Iterator[Image], path: Path, comment: str, rate: int = RATE) -> None:
    """Write frames as an H.264 clip in MP4, whole or not at all.

    Args:
        frames: RGB uint8 [h, w, 3] each, even sides.
        path: a file ending in .mp4; replaced where it exists.
        comment: written into the container, so that the clip says itself what it is.
        rate: frames a second.
    """
    with (
        atomic_write(path) as draft,
        av.open(str(draft), "w", options={"movflags": "+faststart"}) as container,
    ):
        container.metadata["comment"] = comment
        stream = None
        for image in frames:
            if stream is None:
                stream = container.add_stream("libx264", rate=Fraction(rate))
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = "yuv420p"
                stream.options = {"crf": "18", "preset": "slow"}
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        if stream is None:
            raise ExplanationError("A clip needs at least one frame; give one or more.")
        container.mux(stream.encode(None))


def make_pair(
    folder: Path, portrait: Path = PORTRAIT, blend: SelfBlend | None = None
) -> tuple[Path, Path]:
    """Make the demonstration pair from a portrait.

    Args:
        folder: where the clips go.
        portrait: a picture with one face that may be shown and altered.
        blend: how it is blended into itself; by default as in the shipped clip.

    Returns:
        paths of the untouched and of the self-blended clip.

    Raises:
        ExplanationError: the picture cannot be read or shows no face.
    """
    pixels = cv2.imread(str(portrait))
    if pixels is None:
        raise ExplanationError(f"{portrait.name} cannot be read; choose a JPEG or PNG picture.")
    image: Image = np.ascontiguousarray(pixels[..., ::-1], dtype=np.uint8)
    faces = BlazeFace().detect(image)
    if not faces:
        raise ExplanationError(f"{portrait.name} shows no face; choose a portrait.")
    name = portrait.stem.split("_")[1]
    original = folder / f"demo_original_{name}.mp4"
    manipulated = folder / f"demo_selfblend_{name}.mp4"
    encode(
        pan_and_zoom(image, faces[0]),
        original,
        f"Demonstration: pan and zoom over {portrait.name}, untouched.",
    )
    encode(
        pan_and_zoom(self_blended(image, faces[0], blend or SelfBlend()), faces[0]),
        manipulated,
        f"Demonstration: pan and zoom over {portrait.name}, the face blended into itself; "
        "no other person is involved.",
    )
    return original, manipulated


def _middle(face: Face) -> NDArray[np.float64]:
    """Return the middle of the face: between the eyes and the mouth."""
    points = np.array(face.key_points)
    return np.asarray((points[0] + points[1] + 2 * points[3]) / 4, dtype=np.float64)


def _altered(image: Image, face: Face, blend: SelfBlend) -> NDArray[np.float32]:
    x, y = _middle(face)
    size, scale = face.size, blend.scale
    matrix = np.array(
        [
            [scale, 0, x * (1 - scale) + blend.shift[0] * size],
            [0, scale, y * (1 - scale) + blend.shift[1] * size],
        ]
    )
    moved = cv2.warpAffine(
        image.astype(np.float32),
        matrix,
        image.shape[1::-1],
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT,
    )
    if blend.softness:
        moved = cv2.GaussianBlur(moved, (0, 0), blend.softness * size)
    coloured = moved * np.array(blend.gains, dtype=np.float32)
    mean = coloured.mean(axis=(0, 1))
    return np.asarray((coloured - mean) * blend.contrast + mean, dtype=np.float32)


def _mask(image: Image, face: Face, blend: SelfBlend) -> NDArray[np.float32]:
    """Draw a soft ellipse over the inner face, float32 [h, w] in [0, 1], upright with the eyes."""
    points = np.array(face.key_points)
    right, left = points[0], points[1]
    tilt = float(np.degrees(np.arctan2(left[1] - right[1], left[0] - right[0])))
    mask = np.zeros(image.shape[:2], np.float32)
    x, y = _middle(face)
    axes = (round(blend.width * face.size), round(blend.height * face.size))
    cv2.ellipse(mask, (round(x), round(y)), axes, tilt, 0, 360, 1.0, -1)
    soft = cv2.GaussianBlur(mask, (0, 0), max(blend.feather * face.size, 0.5))
    return np.asarray(soft, dtype=np.float32)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the pair from the command line, by default the shipped one in its place."""
    parser = argparse.ArgumentParser(description="Make the demonstration pair of clips.")
    parser.add_argument("--out", type=Path, default=ASSETS / "samples", help="folder of the clips")
    parser.add_argument("--portrait", type=Path, default=PORTRAIT, help="picture with one face")
    options = parser.parse_args(arguments)
    for path in make_pair(options.out, options.portrait):
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""The picture that documents self-blending, made from public-domain portraits only.

`python -m detector.training.contact_sheet` writes it to `assets/training`. Columns: the crop, the
mask, the blend, what changed (four times), the blend after degradation. Nobody is swapped:
every face is blended into itself.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from detector.errors import TrainingError
from detector.faces.blazeface import BlazeFace
from detector.faces.geometry import crop_face
from detector.files import ASSETS
from detector.training.blending import self_blend
from detector.training.degradations import degrade
from detector.training.hulls import hulls_from_key_points

PORTRAITS = ("abraham_lincoln_1863.jpg", "grace_hopper_usnavy.jpg")
SHEET = ASSETS / "training" / "self_blending_contact_sheet.jpg"
ROWS, SIDE, GAP = 4, 192, 6
FACTOR = 1.3


def make_sheet(path: Path = SHEET, folder: Path = ASSETS / "samples" / "portraits") -> Path:
    """Write the sheet: `ROWS` blends of each portrait; the same picture every time.

    Raises:
        TrainingError: a portrait is missing or shows no face.
    """
    detector = BlazeFace()
    rows = []
    for place, name in enumerate(PORTRAITS):
        data = cv2.imread(str(folder / name), cv2.IMREAD_COLOR_RGB)
        faces = detector.detect(np.asarray(data, dtype=np.uint8)) if data is not None else ()
        if not faces:
            raise TrainingError(
                f"{name} shows no face; restore assets/samples from the repository."
            )
        face = max(faces, key=lambda found: found.size)
        crop = crop_face(np.asarray(data, dtype=np.uint8), face.box, FACTOR, SIDE)
        left, top, right, bottom = face.box
        side = face.size * FACTOR
        corner = np.array([(left + right - side) / 2, (top + bottom - side) / 2])
        hulls = hulls_from_key_points((np.array(face.key_points) - corner) / side)
        images = torch.from_numpy(crop).permute(2, 0, 1)[None].float().div(255)
        images = images.expand(ROWS, -1, -1, -1)
        seeds = torch.arange(ROWS) + 100 * place
        blend = self_blend(images, torch.from_numpy(hulls)[None].expand(ROWS, -1, -1, -1), seeds)
        change = (0.5 + 4 * (blend.images - images)).clamp(0, 1)
        columns = (
            images,
            blend.masks.expand(-1, 3, -1, -1),
            blend.images,
            change,
            degrade(blend.images, seeds),
        )
        rows += [torch.stack(row) for row in zip(*columns, strict=True)]
    tiles = torch.stack(rows)
    height, width = (SIDE + GAP) * len(rows) + GAP, (SIDE + GAP) * tiles.shape[1] + GAP
    sheet = np.full((height, width, 3), 255, dtype=np.uint8)
    for y, row in enumerate(tiles):
        for x, tile in enumerate(row):
            top, left = GAP + y * (SIDE + GAP), GAP + x * (SIDE + GAP)
            pixels = (tile.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
            sheet[top : top + SIDE, left : left + SIDE] = pixels
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])
    return path


if __name__ == "__main__":
    print(make_sheet())

"""Show what the layers 1, 24 and 48 of ResNet50 make of a face.

python -m examples.feature_maps clip.mp4 1.2 maps
"""

import sys
from pathlib import Path

from detector import DetectorError, explain
from detector.explanation.explainer import Explainer
from detector.explanation.heatmaps import png_bytes, tiles

LAYERS = ("resnet50:1", "resnet50:24", "resnet50:48")


def main(clip: Path, seconds: float, folder: Path) -> None:
    # Finds the faces of the frame at that time; its `crop` is what the networks see.
    face = explain(clip, seconds, "grad-cam")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "face.png").write_bytes(png_bytes(face.crop))

    for maps in Explainer.load().feature_maps(face.crop, LAYERS):
        # The 16 filters that answer most, in one picture, each with a colour scale of its own.
        pictures = maps.images(maps.most_active(16), common=False)
        path = folder / f"{maps.layer.address.replace(':', '-')}.png"
        path.write_bytes(png_bytes(tiles(pictures, columns=4, side=112)))
        print(f"{path}: {len(maps.maps)} filters, strongest {maps.most_active(3)}")


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))
    except DetectorError as error:
        sys.exit(str(error))

"""A whole analysis of ten seconds of 1080p, beside its parts alone.

    python -m benchmarks.pipeline [--repeats 3]

Decoding alone: the same 32 frames through the same reader, in this process. Networks alone:
BlazeFace on those frames, and both networks on the crops. The whole adds the sandbox, the hash,
tracking, quality and the result.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks import clips
from benchmarks.record import Record, Row, arguments, finish, in_turns
from detector.analysis.engine import Engine
from detector.analysis.scan import scan
from detector.faces.geometry import crop_face
from detector.media.reader import ClipReader
from detector.settings import Settings


def main() -> None:
    """Run and print."""
    options = arguments(str(__doc__), 3)
    engine = Engine()
    scorer, finder = engine.scorer(), engine.face_detector("blazeface-full")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for codec in clips.CODECS:
            for people in (1, 3) if codec == "h264" else (1,):
                path = clips.write(Path(folder) / f"{codec}{people}.mkv", 10, codec, faces=people)

                def decode(path: Path = path) -> list[np.ndarray]:
                    with ClipReader(path) as reader:
                        return [frame.image for frame in reader.sample(32)]

                frames = decode()

                def networks(frames: list[np.ndarray] = frames) -> object:
                    spec = scorer.ensemble
                    crops = [
                        crop_face(image, face.box, spec.crop_factor, spec.crop_size)
                        for image in frames
                        for face in finder.detect(image)
                    ]
                    return scorer.logits(np.stack(crops))

                seconds = in_turns(
                    {
                        "decode": decode,
                        "networks": networks,
                        "whole": lambda path=path: scan(path, Settings(), engine),
                    },
                    options.repeats,
                )
                ratio = seconds["whole"] / (seconds["decode"] + seconds["networks"])
                name = f"{codec.upper()}, {people} face{'s' if people > 1 else ''}"
                values = {f"{part} s": taken for part, taken in seconds.items()} | {"ratio": ratio}
                rows.append(Row(name, values, "at most 1.3 times the parts", ratio <= 1.3))
    notes = [f"Scored with {scorer.backend} {scorer.precision}."]
    title = "Analysis of 10 s of 1080p in 32 frames"
    finish(Record("pipeline", title, rows, notes), options.out)


if __name__ == "__main__":
    main()

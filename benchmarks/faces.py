"""BlazeFace on OpenVINO beside MediaPipe, on the same 1080p frame.

python -m benchmarks.faces [--repeats 30]
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks import clips
from benchmarks.record import Record, Row, arguments, finish, in_turns
from detector.faces.blazeface import BlazeFace, ConfirmedFaces
from detector.faces.mediapipe import MediaPipeFaces
from detector.media.reader import frame_at


def main() -> None:
    """Run and print."""
    options = arguments(str(__doc__), 30)
    with tempfile.TemporaryDirectory() as folder:
        image = frame_at(clips.write(Path(folder) / "faces.mp4", 1, faces=2), 0.5).image
    finders = {
        "MediaPipe, full range": MediaPipeFaces("full"),
        "MediaPipe, short range": MediaPipeFaces("short"),
        "Veriframe, full range": BlazeFace("full"),
        "Veriframe, short range": BlazeFace("short"),
        "Veriframe, full range, uncertain ones confirmed": ConfirmedFaces(),
    }
    seconds = in_turns(
        {name: lambda f=finder: f.detect(image) for name, finder in finders.items()},
        options.repeats,
    )
    rows = []
    for name, taken in seconds.items():
        other = seconds[f"MediaPipe, {'short' if 'short' in name else 'full'} range"]
        found = len(finders[name].detect(image))
        rows.append(
            Row(
                name,
                {
                    "ms a frame": taken * 1000,
                    "times MediaPipe": other / taken,
                    "faces found": found,
                },
            )
        )
    finish(Record("faces", "Finding faces in a 1080p frame", rows), options.out)


if __name__ == "__main__":
    main()

"""Scan a clip and read its finding.

python -m examples.scan_a_clip clip.mp4
"""

import sys

from detector import DetectorError, Settings, scan


def main(clip: str) -> None:
    # 16 frames, evenly over the clip's time; frames=None would look at every one.
    analysis = scan(clip, Settings(frames=16))
    finding = analysis.finding
    if finding.band is None:
        # Abstaining is an answer: no face, too few usable frames, too dark, too small ...
        print("not judged:", ", ".join(finding.states))
    else:
        print(f"band {finding.band}, score {finding.score:.2f}, face {finding.track}")
    print(*finding.reasons, sep="\n")

    # Each face of each frame has a score of its own.
    for frame in analysis.frames:
        for face in frame.faces:
            usable = "" if face.quality.usable else ", not counted"
            print(f"{frame.time:6.2f} s  face {face.track}  {face.score:.2f}{usable}")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except DetectorError as error:  # one sentence that says what to do
        sys.exit(str(error))

"""MediaPipe as the second backend: what is particular to it; `test_faces` compares the two."""

from __future__ import annotations

import subprocess
import sys

from tests.helpers.processes import ROOT


def test_it_ends_without_a_word() -> None:
    """Left to itself it ends with an ignored traceback on the terminal."""
    program = (
        "import numpy; from detector.faces.mediapipe import MediaPipeFaces;"
        "print(len(MediaPipeFaces().detect(numpy.zeros((64, 64, 3), numpy.uint8))))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True,
                          capture_output=True, text=True)  # fmt: skip
    assert done.stdout == "0\n"
    assert "Traceback" not in done.stderr

"""`python -m detector doctor`: is everything here that the detector needs?

Says in one sentence what to install where something is missing, and prepares the models, so
that the first page does not wait for it.
"""

from __future__ import annotations

import argparse

from detector.errors import DetectorError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `doctor`."""
    parser.add_argument(
        "--mediapipe", action="store_true", help="also check the optional MediaPipe backend"
    )


def run(options: argparse.Namespace) -> int:
    """Check and prepare; prints a line for each part."""
    try:
        import cv2
    except ImportError as error:
        raise DetectorError(
            f"OpenCV cannot start ({error}); install the system package that holds the library "
            "(Debian and Ubuntu: apt install libgl1 libglib2.0-0)."
        ) from error
    print(f"OpenCV {cv2.__version__}: ready")
    from detector.analysis.engine import Engine
    from detector.limits import Limits
    from detector.media.sandbox.sandbox import lines
    from detector.media.sandboxed_clip import describe_sandbox
    from detector.models.backends import cpu_remark

    for line in lines(describe_sandbox(Limits.from_environment())):
        print(f"Around the decoder, {line}")
    engine = Engine()
    engine.warm_up()
    scorer = engine.scorer()
    for network in scorer.ensemble.networks:
        print(f"{network.name} {network.version}, {network.sha256[:12]}…: ready")
    print(f"{scorer.backend} {scorer.precision} on {scorer.device}: ready")
    remark = cpu_remark()
    if remark is not None:
        print(remark)
    if options.mediapipe:
        engine.face_detector("mediapipe-full")
        print("MediaPipe: ready")
    return 0

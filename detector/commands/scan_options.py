"""The options that `scan` and `watch` share: how a clip is looked at."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from detector.settings import BACKENDS

if TYPE_CHECKING:
    from detector.settings import Settings


def add_scan_options(parser: argparse.ArgumentParser) -> None:
    """Add how many frames, which face detector, backend and models."""
    parser.add_argument(
        "--frames",
        type=_frames,
        default=32,
        metavar="N",
        help="frames to analyse, spread evenly over time, or “all” (default: 32)",
    )
    parser.add_argument(
        "--face-detector",
        default="blazeface-full",
        metavar="NAME",
        help="blazeface-full (default), blazeface-short, mediapipe-full or mediapipe-short; "
        "MediaPipe contacts a Google server for usage metrics",
    )
    parser.add_argument(
        "--backend",
        default="auto",
        choices=BACKENDS,
        help="what computes the scores; default: the fastest that this machine has",
    )
    parser.add_argument(
        "--models",
        default="",
        metavar="NAME",
        help="installed models to score with, as `python -m detector models` lists them",
    )


def settings_of(options: argparse.Namespace) -> Settings:
    """Return the settings that these options give; raises ModelError without such models."""
    from detector.models.installed import get_model
    from detector.settings import Settings

    return Settings(
        options.frames, options.face_detector, options.backend, get_model(options.models).name
    )


def _frames(text: str) -> int | None:
    if text == "all":
        return None
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of frames from 1, or “all”")
    return count

"""Analyses made by hand, for tests that need no networks."""

from __future__ import annotations

import hashlib
import math
import random

import cv2
import numpy as np

from detector.analysis.finding import build_tracks, conclude
from detector.media.clip import Clip
from detector.result import (
    SCHEMA_VERSION,
    Analysis,
    BandThresholds,
    Model,
    Quality,
    Sampling,
    ScoredFace,
    ScoredFrame,
    Timings,
)

BANDS = BandThresholds(-0.2, 0.3, 1.3, calibrated=False, note="Provisional.")


def models(version: str = "v0", precision: str = "f32") -> tuple[Model, ...]:
    return tuple(
        Model(
            name=name,
            version=version,
            sha256=hashlib.sha256(f"{name} {version}".encode()).hexdigest(),
            input_size=size,
            weight=weight,
            temperature=temperature,
            backend="openvino",
            device="CPU",
            precision=precision,
        )
        for name, size, weight, temperature in [
            ("resnet50", 256, 0.25, 1.5),
            ("xception", 304, 0.75, 1.0),
        ]
    )


def example(
    name: str = "clip.mp4",
    *,
    seed: int = 0,
    frames: int = 6,
    faces: int = 2,
    level: float = 0.0,
    duration: float = 3.0,
    created: str = "2031-05-04T10:00:00+00:00",
    version: str = "v0",
    clip: str | None = None,
) -> Analysis:
    """An analysis of `frames` frames with `faces` tracks whose logits lie around `level`.

    The last frame holds no face; the last face of several is too small to be judged.
    """
    rng = random.Random(seed)
    used = models(version)
    scored = []
    for number in range(frames):
        found = []
        for track in range(1, faces + 1):
            if number == frames - 1 and frames > 1:
                break
            logits = {model.name: level + rng.gauss(0, 1) for model in used}
            logit = sum(model.weight * logits[model.name] / model.temperature for model in used)
            size = 20.0 + rng.random() if track == faces > 1 else 90 + 40 * rng.random()
            left, top = 30.0 + 150 * (track - 1), 40.0 + rng.random()
            found.append(
                ScoredFace(
                    track=track,
                    box=(left, top, left + size, top + size * 0.9),
                    key_points=tuple((left + i, top + i / 3) for i in range(6)),
                    detection_score=0.6 + 0.4 * rng.random(),
                    quality=Quality(size, 500 * rng.random(), 60 + 90 * rng.random(), size > 48),
                    logits=logits,
                    logit=logit,
                    score=1 / (1 + math.exp(-logit)),
                )
            )
        scored.append(ScoredFrame(number * 10, duration * (number + 0.5) / frames, tuple(found)))
    about = Clip(
        name=name,
        sha256=clip or hashlib.sha256(f"{name} {seed}".encode()).hexdigest(),
        bytes=100_000 + seed,
        container="mov,mp4,m4a,3gp,3g2,mj2",
        codec="h264",
        width=640,
        height=360,
        rotation=0,
        frame_rate=frames * 10 / duration if duration else 0.0,
        variable_frame_rate=False,
        frames=frames * 10 if duration else 1,
        duration=duration,
        bits_per_pixel=0.08,
        has_audio=True,
        creation_time="2031-05-01T09:00:00.000000Z",
        encoder="Lavf60.16.100",
        damaged=0,
    )
    tracks = build_tracks(scored, about, BANDS, used)
    return Analysis(
        schema_version=SCHEMA_VERSION,
        software="0.1.0",
        created=created,
        clip=about,
        sampling=Sampling(32, len(scored), "blazeface-full", 0.5, 1.15, 304),
        models=used,
        bands=BANDS,
        tracks=tracks,
        frames=tuple(scored),
        finding=conclude(about, tracks, BANDS, used),
        timings=Timings(0.1, 0.2, 0.3, 0.7),
    )


class Drawn:
    """Pictures of an analysis that show no person: noise whose colours tell them apart."""

    def frame(self, index: int) -> bytes | None:
        rng = np.random.default_rng(index)
        image = cv2.resize(rng.integers(0, 255, (9, 16, 3), dtype=np.uint8), (640, 360))
        return cv2.imencode(".jpg", image)[1].tobytes()

    def face(self, index: int, track: int) -> np.ndarray | None:
        rng = np.random.default_rng([index, track])
        return cv2.resize(rng.integers(0, 255, (12, 12, 3), dtype=np.uint8), (304, 304))

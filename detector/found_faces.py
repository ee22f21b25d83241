"""The faces of a frame between finding and scoring: cut out, followed and measured.

One process may find faces and another one score them; both ways to do it (`detector.analysis`
in one process, `detector.cluster_stages` in many) go through these functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from detector.clip import Frame, Image
from detector.faces import Face, crop_face
from detector.finding import measure
from detector.result import Quality, ScoredFace, ScoredFrame
from detector.scoring import Logits, combine, probability
from detector.tracks import Tracker
from detector.weights import EnsembleSpec


@dataclass(frozen=True)
class FoundFrame:
    """A frame whose faces are not scored yet; without its picture, to hold no memory.

    Attributes:
        index, time: as in `Frame`.
        faces: of each, the number of its track, the face, and what may make it hard to judge.
    """

    index: int
    time: float
    faces: tuple[tuple[int, Face, Quality], ...]


@dataclass(frozen=True)
class FaceScore:
    """What the networks say of one face.

    Attributes:
        logits: of each network, positive = manipulated, before calibration.
        logit: of the ensemble, calibrated.
    """

    logits: Mapping[str, float]
    logit: float


def take_faces(
    frame: Frame, faces: Sequence[Face], tracker: Tracker, ensemble: EnsembleSpec
) -> tuple[FoundFrame, list[Image]]:
    """Cut a frame's faces out, follow them and measure them; frames must come in order.

    Returns:
        The frame without its picture, and the crop of each face, RGB uint8 [s, s, 3] with
        s = `ensemble.crop_size`.
    """
    crops = [
        crop_face(frame.image, face.box, ensemble.crop_factor, ensemble.crop_size) for face in faces
    ]
    ids = tracker.update(faces, crops)
    measured = tuple(
        (id, face, measure(face, crop)) for id, face, crop in zip(ids, faces, crops, strict=True)
    )
    return FoundFrame(frame.index, frame.time, measured), crops


def face_scores(ensemble: EnsembleSpec, logits: Mapping[str, Logits]) -> list[FaceScore]:
    """What each face comes to, from float32 [n] of each network."""
    mixed = combine(ensemble, logits)
    return [
        FaceScore({name: float(values[place]) for name, values in logits.items()}, float(logit))
        for place, logit in enumerate(mixed)
    ]


def scored_frame(found: FoundFrame, scores: Iterable[FaceScore]) -> ScoredFrame:
    """The frame with what the networks say of its faces, in the same order."""
    faces = tuple(
        ScoredFace(
            track=id,
            box=face.box,
            key_points=face.key_points,
            detection_score=face.score,
            quality=quality,
            logits=dict(score.logits),
            logit=score.logit,
            score=probability(score.logit),
        )
        for (id, face, quality), score in zip(found.faces, scores, strict=True)
    )
    return ScoredFrame(found.index, found.time, faces)

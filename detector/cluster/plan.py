"""What every worker of a scan is told, and what passes between its stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from detector.cluster.source import SourceClip
from detector.cluster.target import Target
from detector.faces.tracking import FrameFaces
from detector.limits import Limits
from detector.media.clip import Clip
from detector.models.scorer import FaceScore
from detector.result import Model
from detector.settings import Settings

ClipState = Literal["analysed", "failed"]


@dataclass(frozen=True)
class Plan:
    """One scan: the same for all its clips and workers.

    Attributes:
        settings: how to look at a clip; its backend is never "auto", so that all nodes agree.
        limits: what a clip may cost.
        fingerprint: of models and settings, see `detector.result.fingerprint`.
        model_version: as `detector.library.types.Summary.model_version`.
        date: UTC day on which the scan began, ISO 8601; part of where its rows lie, so that a
            write that is repeated after midnight replaces its own file.
        target: where the rows go.
    """

    settings: Settings
    limits: Limits
    fingerprint: str
    model_version: str
    date: str
    target: Target


@dataclass(frozen=True)
class LookedAt:
    """A clip whose faces are found and wait for the networks.

    Attributes:
        source: which clip.
        clip: what its file says of itself; None where it failed.
        frames: in order.
        error: one sentence where it failed.
        decode, detect: seconds that they took.
    """

    source: SourceClip
    clip: Clip | None = None
    frames: tuple[FrameFaces, ...] = ()
    error: str | None = None
    decode: float = 0.0
    detect: float = 0.0


@dataclass(frozen=True)
class Scores:
    """What the networks say of a clip's faces.

    Attributes:
        models: the networks, as a result names them.
        faces: in the order of frames and faces.
        seconds: that they took.
        error: one sentence where they could not score.
    """

    models: tuple[Model, ...]
    faces: tuple[FaceScore, ...] = ()
    seconds: float = 0.0
    error: str | None = None


@dataclass(frozen=True)
class ClipOutcome:
    """What became of one clip.

    Attributes:
        path: of the clip.
        identity: see `SourceClip.identity`.
        state: "analysed" or "failed".
        error: one sentence where it failed.
        unwritten: one sentence why its row could not be written; None where it is.
    """

    path: str
    identity: str
    state: ClipState
    error: str | None = None
    unwritten: str | None = None

"""What can be asked of the library, and what it answers: plain values, no database."""

from __future__ import annotations

import datetime
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from detector.result import AbstainReason, Band, Box

NO_BAND = "none"  # stands for analyses whose states forbid a band, in a filter

Range = tuple[float | None, float | None]
Moment = datetime.date | datetime.datetime
Item = TypeVar("Item")


@dataclass(frozen=True)
class Page(Generic[Item]):
    """Some of what matched.

    Attributes:
        items: of this page, in order.
        total: how many match on all pages.
        number: of this page, from 1.
        size: most items a page holds.
    """

    items: tuple[Item, ...]
    total: int
    number: int
    size: int

    @property
    def pages(self) -> int:
        """Number of pages; at least 1."""
        return max(math.ceil(self.total / self.size), 1)


@dataclass(frozen=True)
class Summary:
    """One line of the library.

    Attributes:
        id: number in the library.
        name, sha256, bytes, width, height, duration: of the clip.
        fingerprint: of models and settings, see `fingerprint`.
        created, kept: when it was analysed and when it came into the library, UTC.
        band, logit, score, states: of the finding.
        faces: number of tracks.
        frames: number of analysed frames.
        model_version: for example "resnet50 v0, xception v0".
        cover: frame index and track of the strongest face; None without faces.
        tags, note: what people wrote, tags in order.
        source: path where the clip lay, if that was kept.
        clip_kept: the clip itself is in the library.
    """

    id: int
    name: str
    sha256: str
    bytes: int
    width: int
    height: int
    duration: float
    fingerprint: str
    created: datetime.datetime
    kept: datetime.datetime
    band: Band | None
    logit: float | None
    score: float | None
    states: tuple[AbstainReason, ...]
    faces: int
    frames: int
    model_version: str
    cover: tuple[int, int] | None
    tags: tuple[str, ...]
    note: str
    source: str | None
    clip_kept: bool


@dataclass(frozen=True)
class FrameRow:
    """One face in one frame of one analysis; all after `time` is None for a frame without faces.

    Attributes:
        analysis: id of the analysis.
        clip: name of the clip.
        index, time: of the frame, as in `ScoredFrame`.
        disagree: the networks are on different sides of 0.
        track, score, logit, logits, detection_score, box: as in `ScoredFace`.
        spread: highest less lowest calibrated logit of the networks.
        size, sharpness, brightness, usable: as in `Quality`.
    """

    analysis: int
    clip: str
    index: int
    time: float
    disagree: bool = False
    track: int | None = None
    score: float | None = None
    logit: float | None = None
    logits: Mapping[str, float] | None = None
    spread: float | None = None
    size: float | None = None
    sharpness: float | None = None
    brightness: float | None = None
    usable: bool | None = None
    detection_score: float | None = None
    box: Box | None = None


@dataclass(frozen=True)
class LibraryFilter:
    """What to look for in the library; every field narrows, the default lets all through.

    Attributes:
        text: words that must all occur in name, SHA-256, tags or note.
        bands: "little", "inconclusive", "some", "strong", or `NO_BAND`.
        dates: first and last moment of the analysis; a date means the whole UTC day.
        length: shortest and longest duration, seconds.
        faces: fewest and most tracks.
        model_versions: as in `Summary.model_version`.
        tags: all of these.
        sha256: of the clip.
        ids: only these.
    """

    text: str = ""
    bands: Collection[str] = ()
    dates: tuple[Moment | None, Moment | None] = (None, None)
    length: Range = (None, None)
    faces: tuple[int | None, int | None] = (None, None)
    model_versions: Collection[str] = ()
    tags: Collection[str] = ()
    sha256: str | None = None
    ids: Collection[int] | None = None


@dataclass(frozen=True)
class FrameFilter:
    """Which face scores to look at; every field narrows, the default lets all through.

    Attributes:
        analyses: ids; None for the whole library.
        tracks: numbers of tracks.
        frames: indices of frames.
        score: lowest and highest ensemble score, [0, 1].
        time: first and last presentation time, seconds.
        size, sharpness, brightness: as in `Quality`.
        usable: True for faces that count, False for the others.
        disagree: only faces on which the networks are on different sides of 0.
        faces: True for frames with faces, False for frames without.
    """

    analyses: Collection[int] | None = None
    tracks: Collection[int] = ()
    frames: Collection[int] = ()
    score: Range = (None, None)
    time: Range = (None, None)
    size: Range = (None, None)
    sharpness: Range = (None, None)
    brightness: Range = (None, None)
    usable: bool | None = None
    disagree: bool = False
    faces: bool | None = None


@dataclass(frozen=True)
class Measures:
    """Scores and inputs of many faces, as columns; every array has as many values as faces.

    Attributes:
        logits: of each network, before calibration, float64 [n].
        size, sharpness, brightness: as in `Quality`, float64 [n].
        clips: analyses that the faces are from.
        other: analyses of that time that other models made.
        first, last: when the analyses were made; None without any.
    """

    logits: Mapping[str, NDArray[np.float64]]
    size: NDArray[np.float64]
    sharpness: NDArray[np.float64]
    brightness: NDArray[np.float64]
    clips: int
    other: int
    first: datetime.datetime | None
    last: datetime.datetime | None


@dataclass(frozen=True)
class Size:
    """What the library holds: analyses, rows of face scores, bytes on disk (clips included)."""

    analyses: int
    face_scores: int
    bytes: int


LIBRARY_SORTS = ("created", "kept", "name", "band", "score", "duration", "faces", "frames", "bytes")
FRAME_SORTS = ("order", "time", "score", "logit", "spread", "track", "size", "sharpness",
               "brightness", "detection_score")  # fmt: skip

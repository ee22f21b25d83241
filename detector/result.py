"""The result of an analysis: one type for page, JSON, CSV, PDF, API and library.

Field names are stable. A change that old readers would misread raises the first number of
`SCHEMA_VERSION`; a new field with a default raises the second.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from detector.errors import ResultError
from detector.media.clip import Clip
from detector.typed_json import adapter

SCHEMA_VERSION = "1.1"

Band = Literal["little", "inconclusive", "some", "strong"]
AbstainReason = Literal[
    "no_face", "too_few_frames", "faces_too_small", "faces_too_dark", "heavily_recompressed"
]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Sampling:
    """Which frames were looked at, and how faces were found in them.

    Attributes:
        requested: frames asked for; None means every frame.
        analysed: frames that were decoded and searched.
        face_detector: for example "blazeface-full".
        min_face_score: faces less certain than this were left out, [0, 1].
        crop_factor: side of the crop / larger side of the face box.
        crop_size: side of the stored crop, pixels.
    """

    requested: int | None
    analysed: int
    face_detector: str
    min_face_score: float
    crop_factor: float
    crop_size: int


@dataclass(frozen=True)
class Model:
    """A network that scored, and with what.

    Attributes:
        name: "resnet50" or "xception".
        version: of the weights.
        sha256: of the weights' file, hex.
        input_size: pixels.
        weight: share in the ensemble, [0, 1].
        temperature: the logit was divided by it.
        backend: for example "openvino" or "torch".
        device: for example "CPU" or the name of a GPU.
        precision: "f32", "bf16" or "int8".
        quantized_sha256: of the int8 model, hex; None at other precisions.
    """

    name: str
    version: str
    sha256: str
    input_size: int
    weight: float
    temperature: float
    backend: str
    device: str
    precision: str
    quantized_sha256: str | None = None


@dataclass(frozen=True)
class BandThresholds:
    """Where the bands begin on the ensemble's calibrated logit, in rising order.

    Attributes:
        inconclusive, some, strong: lowest logit of the band; what is lower is "little".
        calibrated: False while they are provisional.
        note: one or two sentences on where they come from.
    """

    inconclusive: float
    some: float
    strong: float
    calibrated: bool
    note: str

    @property
    def starts(self) -> dict[Band, float]:
        """Lowest logit of each band but the first."""
        return {"inconclusive": self.inconclusive, "some": self.some, "strong": self.strong}

    def band_of(self, logit: float) -> Band:
        """Return the band of an ensemble logit; a threshold belongs to the band above it."""
        if logit >= self.strong:
            return "strong"
        if logit >= self.some:
            return "some"
        return "inconclusive" if logit >= self.inconclusive else "little"


@dataclass(frozen=True)
class Quality:
    """What may make a face hard to judge.

    Attributes:
        size: larger side of the face box, pixels of the clip.
        sharpness: variance of the Laplacian of the face at 128 px, grey levels squared.
        brightness: mean luma of the face, [0, 255].
        usable: the face is large and bright enough to count in its track's score.
    """

    size: float
    sharpness: float
    brightness: float
    usable: bool


@dataclass(frozen=True)
class ScoredFace:
    """One face in one frame.

    Attributes:
        track: number of the track that it belongs to.
        box: left, top, right, bottom in pixels of the frame; may reach beyond its border.
        key_points: six (x, y) in pixels: eyes, nose, mouth, ears (right first).
        detection_score: certainty that this is a face, [0, 1].
        quality: what may make it hard to judge.
        logits: of each network, positive = manipulated, before calibration.
        logit: of the ensemble, calibrated.
        score: sigmoid of `logit`, [0, 1].
    """

    track: int
    box: Box
    key_points: tuple[tuple[float, float], ...]
    detection_score: float
    quality: Quality
    logits: dict[str, float]
    logit: float
    score: float


@dataclass(frozen=True)
class ScoredFrame:
    """One frame: index in presentation order, presentation time in seconds, and its faces."""

    index: int
    time: float
    faces: tuple[ScoredFace, ...]


@dataclass(frozen=True)
class Track:
    """One face followed through the clip.

    Attributes:
        id: number, from 1.
        first, last: presentation times, seconds.
        frames: number of analysed frames it appears in.
        usable_frames: of these, those that count.
        logit: median of the usable frames' ensemble logits; None without usable frames.
        score: sigmoid of `logit`.
        band: of `logit`; None where `states` forbids one.
        states: why there is no band, or why it is weak.
        agreement: share of usable frames in which all networks are on one side of 0.
    """

    id: int
    first: float
    last: float
    frames: int
    usable_frames: int
    logit: float | None
    score: float | None
    band: Band | None
    states: tuple[AbstainReason, ...]
    agreement: float | None


@dataclass(frozen=True)
class Finding:
    """What the clip comes to.

    Attributes:
        band: the highest band of its tracks; None where a state forbids one.
        logit, score: of that track; None without a band.
        track: id of that track.
        states: conditions that forbid or weaken a band.
        reasons: sentences for a reader, most important first.
    """

    band: Band | None
    logit: float | None
    score: float | None
    track: int | None
    states: tuple[AbstainReason, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Timings:
    """Seconds spent: decoding, detecting, scoring, and in total (wall clock)."""

    decode: float
    detect: float
    score: float
    total: float


@dataclass(frozen=True)
class Analysis:
    """Everything that one scan of one clip found.

    Attributes:
        schema_version: of this type.
        software: Veriframe's version.
        created: UTC, ISO 8601.
        clip, sampling, models, bands: what was analysed, and with what.
        tracks, frames, finding: what was found.
        timings: where the time went.

    Examples:
        >>> from detector import Analysis, Settings, scan
        >>> analysis = scan("assets/samples/grid_bbaf2n.mp4", Settings(frames=8))
        >>> [(track.frames, track.band) for track in analysis.tracks]
        [(8, 'little')]
        >>> Analysis.from_json(analysis.to_json()) == analysis
        True
    """

    schema_version: str
    software: str
    created: str
    clip: Clip
    sampling: Sampling
    models: tuple[Model, ...]
    bands: BandThresholds
    tracks: tuple[Track, ...]
    frames: tuple[ScoredFrame, ...]
    finding: Finding
    timings: Timings

    def to_json(self) -> str:
        """Write the analysis as JSON text; `from_json` reads it back equal."""
        return adapter(Analysis, finite=True).dump_json(self, indent=1).decode()

    @staticmethod
    def from_json(text: str | bytes) -> Analysis:
        """Read the analysis that `to_json` wrote.

        Raises:
            ResultError: not an analysis, damaged, or of a schema that is newer than this.
        """
        from pydantic import ValidationError

        try:
            raw = json.loads(text)
            version = raw["schema_version"]
            if not re.fullmatch(r"\d{1,6}\.\d{1,6}", version, re.ASCII):
                raise ValueError("no version of a schema")
            newer = int(version.split(".")[0]) > int(SCHEMA_VERSION.split(".", maxsplit=1)[0])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ResultError(
                "This is not a Veriframe result; choose a JSON file that Veriframe has saved."
            ) from error
        if newer:
            raise ResultError(
                f"This result has schema {version}, newer than {SCHEMA_VERSION}; "
                "update Veriframe to read it."
            )
        try:
            analysis = adapter(Analysis, finite=True).validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            # Keys of the file are part of the place, and may hold anything.
            place = re.sub(r"[^\w.-]", "?", ".".join(str(part) for part in first["loc"]))[:120]
            raise ResultError(
                f"This result is damaged at “{place}” ({first['msg']}); export it again."
            ) from error
        _check_networks(analysis)
        return analysis

    def track(self, id: int) -> Track:
        """Return the track with that id; raises ResultError where there is none."""
        for track in self.tracks:
            if track.id == id:
                return track
        raise ResultError(f"There is no face {id} in this analysis; choose one that is listed.")


def _check_networks(analysis: Analysis) -> None:
    """Check that every logit is of a network that is named; raises ResultError."""
    named = {model.name for model in analysis.models if model.temperature > 0}
    found = {name for frame in analysis.frames for face in frame.faces for name in face.logits}
    if len(named) != len(analysis.models) or found - named:
        raise ResultError(
            "This result is damaged at “models” (its scores are of other networks than it names); "
            "export it again."
        )


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of `Analysis`."""
    schema = adapter(Analysis, finite=True).json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Veriframe analysis {SCHEMA_VERSION}",
        **schema,
    }


def fingerprint(
    requested: int | None,
    face_detector: str,
    min_face_score: float,
    models: Iterable[Model],
    bands: BandThresholds,
) -> str:
    """Return a name, hex [64], for the models and settings that decide a clip's scores.

    Device and backend are left out: the same networks give the same scores to 1e-3 on each.
    """
    parts = {
        "frames": requested,
        "face_detector": face_detector,
        "min_face_score": min_face_score,
        "models": [
            [model.name, model.sha256, model.weight, model.temperature, model.precision]
            for model in models
        ],
        "bands": [bands.inconclusive, bands.some, bands.strong],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def fingerprint_of(analysis: Analysis) -> str:
    """Return the `fingerprint` of the models and settings that an analysis was made with."""
    sampling = analysis.sampling
    return fingerprint(
        sampling.requested,
        sampling.face_detector,
        sampling.min_face_score,
        analysis.models,
        analysis.bands,
    )

"""The whole way: clip -> frames -> faces -> crops -> logits -> tracks -> finding.

The only module that knows all of it; pages, command line, API and cluster call `analyse`.
"""

from __future__ import annotations

import contextlib
import datetime
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

import detector
from detector import installed_models
from detector.backends import Backend, backend_named
from detector.caged_clip import open_clip
from detector.clip import Clip, Frame, Image, Limits
from detector.errors import Cancelled, ClipError, ModelError
from detector.evidence import MOST_FRAMES, Evidence
from detector.faces import MIN_SCORE, BlazeFace, ConfirmedFaces, Face, FaceDetector
from detector.finding import build_tracks, conclude
from detector.found_faces import FaceScore, FoundFrame, face_scores, scored_frame, take_faces
from detector.result import (
    SCHEMA_VERSION,
    Analysis,
    BandLimits,
    Model,
    Sampling,
    ScoredFrame,
    Timings,
)
from detector.scoring import Scorer, describe, load_scorer
from detector.tracks import Tracker
from detector.turns import Place, ScoredBatch, Turns
from detector.weights import EnsembleSpec

DetectorName = Literal["blazeface-full", "blazeface-short", "mediapipe-full", "mediapipe-short"]
DETECTORS: tuple[DetectorName, ...] = (
    "blazeface-full", "blazeface-short", "mediapipe-full", "mediapipe-short",
)  # fmt: skip
DEFAULT_FRAMES = 32
AHEAD = 2  # batches that wait for the networks while the next frames are looked at


@dataclass(frozen=True)
class Settings:
    """How to look at a clip.

    Attributes:
        frames: frames to analyse, evenly over time; None for every frame.
        face_detector: one of `DETECTORS`.
        backend: one of `detector.backends.BACKENDS`.
        models: name of an installed ensemble, see `detector.installed_models`; "" for the default.
    """

    frames: int | None = DEFAULT_FRAMES
    face_detector: DetectorName = "blazeface-full"
    backend: Backend = "auto"
    models: str = ""


@dataclass(frozen=True)
class Progress:
    """How far an analysis is: frames done of all, and the frames scored since the last report."""

    done: int
    total: int
    scored: tuple[ScoredFrame, ...]


class Engine:
    """The models of this process: loaded once on first use, shared by all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: dict[tuple[str, str], Turns] = {}  # by models and backend
        self._detectors: dict[str, FaceDetector] = {}

    def scorer(self, backend: Backend = "auto", models: str = "") -> Scorer:
        """The scorer for `backend` with the ensemble called `models`; raises ModelError."""
        return self.turns(backend, models).scorer

    def turns(self, backend: Backend = "auto", models: str = "") -> Turns:
        """The queue of the scorer for `backend` and `models`; raises ModelError."""
        with self._lock:
            if (models, backend) not in self._turns:
                turns, name = Turns(self.load(backend, models)), backend
                if backend == "auto":
                    # What it chose and what is asked for by name are one copy of the networks.
                    scorer = turns.scorer
                    name = backend_named(scorer.backend, scorer.precision, scorer.device)
                self._turns[models, backend] = self._turns.setdefault((models, name), turns)
            return self._turns[models, backend]

    def load(self, backend: Backend, models: str = "") -> Scorer:
        """A new scorer for `backend` and `models`; raises ModelError."""
        if not models:
            return load_scorer(backend)
        return load_scorer(backend, installed_models.named(models).read())

    def face_detector(self, name: str) -> FaceDetector:
        """The face detector called `name`, one of `DETECTORS`; raises ModelError."""
        with self._lock:
            if name not in self._detectors:
                self._detectors[name] = _load_detector(name)
            return self._detectors[name]

    def warm_up(self, settings: Settings | None = None) -> None:
        """Load what `settings` need; raises ModelError."""
        settings = settings or Settings()
        self.face_detector(settings.face_detector)
        self.scorer(settings.backend, settings.models)


def analyse(
    path: Path | str,
    settings: Settings | None = None,
    engine: Engine | None = None,
    *,
    name: str | None = None,
    limits: Limits | None = None,
    evidence: Evidence | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Analysis:
    """Score the faces of a clip.

    Args:
        path: video or image file.
        settings: how to look at it; default 32 frames with BlazeFace full range.
        engine: models that are loaded already; default, a new one.
        name: the name that the person gave the file.
        limits: what the clip may cost; default, as the environment sets them.
        evidence: where previews and crops are kept; default, nowhere.
        on_progress: called in this thread whenever more frames are scored.
        cancelled: asked between frames; True stops the analysis.

    Raises:
        ClipError: the file is no clip that can be analysed.
        ModelError: weights or backend are not there.
        Cancelled: `cancelled` said so.
    """
    settings = settings or Settings()
    engine = engine or Engine()
    begun = time.perf_counter()
    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(open_clip(path, name, limits))
        faces_of = engine.face_detector(settings.face_detector)
        turns = engine.turns(settings.backend, settings.models)
        scorer = turns.scorer
        place = stack.enter_context(turns.join())
        scan = _Scan(scorer, place, Tracker())
        chosen = reader.choose(settings.frames)
        keep_every = -(-len(chosen) // MOST_FRAMES)
        frames = reader.sample(settings.frames)
        fresh: list[ScoredFrame] = []

        def check() -> None:
            if cancelled is not None and cancelled():
                raise Cancelled("The analysis was stopped; nothing was kept.")

        def report(at_least: int, done: int | None = None) -> None:
            fresh.extend(scan.take())
            if on_progress is not None and len(fresh) >= at_least:
                done = len(scan.frames) if done is None else done
                on_progress(Progress(done, len(chosen), tuple(fresh)))
                fresh.clear()

        while True:
            check()
            started = time.perf_counter()
            frame = next(frames, None)
            decoded = time.perf_counter()
            scan.decode_seconds += decoded - started
            if frame is None:
                break
            ids, crops = scan.add(frame, faces_of.detect(frame.image))
            if evidence is not None and (scan.frames_added - 1) % keep_every == 0:
                evidence.add(frame, zip(ids, crops, strict=True))
            scan.detect_seconds += time.perf_counter() - decoded
            scan.wait(check, at_most=AHEAD)
            report(scorer.batch)
        if not scan.frames_added:
            raise nothing_decoded(reader.label)
        scan.finish()
        scan.wait(check, at_most=0)
        report(0, len(chosen))
        clip = reader.describe()
    return assemble(
        clip,
        scan.frames,
        settings,
        scorer.ensemble,
        describe(scorer),
        Timings(
            decode=scan.decode_seconds,
            detect=scan.detect_seconds,
            score=scan.score_seconds,
            total=time.perf_counter() - begun,
        ),
    )


def assemble(
    clip: Clip,
    frames: Sequence[ScoredFrame],
    settings: Settings,
    ensemble: EnsembleSpec,
    models: tuple[Model, ...],
    timings: Timings,
) -> Analysis:
    """The analysis of a clip from its scored frames: tracks, bands and the finding.

    Args:
        clip, frames, timings: what was looked at and found, frames in order.
        settings: how it was looked at.
        ensemble: the networks that scored.
        models: the same networks as a result names them, see `detector.scoring.describe`.
    """
    limits = band_limits(ensemble)
    temperatures = {network.name: network.temperature for network in ensemble.networks}
    weights = {network.name: network.weight for network in ensemble.networks}
    tracks = build_tracks(frames, clip, limits, temperatures, ensemble.aggregation)
    return Analysis(
        schema_version=SCHEMA_VERSION,
        software=detector.__version__,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        clip=clip,
        sampling=Sampling(
            requested=settings.frames,
            analysed=len(frames),
            face_detector=settings.face_detector,
            min_face_score=MIN_SCORE,
            crop_factor=ensemble.crop_factor,
            crop_size=ensemble.crop_size,
        ),
        models=models,
        bands=limits,
        tracks=tracks,
        frames=tuple(frames),
        finding=conclude(clip, tracks, limits, weights, ensemble.aggregation),
        timings=timings,
    )


def nothing_decoded(label: str) -> ClipError:
    """What is said of a clip that opens, but of whose chosen frames none can be decoded."""
    return ClipError(
        f"None of the chosen frames of “{label}” can be decoded; choose more frames or get the "
        "original file."
    )


def band_limits(ensemble: EnsembleSpec) -> BandLimits:
    """The limits of the bands, as a result states them."""
    return BandLimits(
        inconclusive=ensemble.bands.inconclusive,
        some=ensemble.bands.some,
        strong=ensemble.bands.strong,
        calibrated=ensemble.calibrated,
        note=ensemble.note,
    )


def _load_detector(name: str) -> FaceDetector:
    if name == "blazeface-full":
        return ConfirmedFaces()
    if name == "blazeface-short":
        return BlazeFace("short")
    if name in ("mediapipe-full", "mediapipe-short"):
        from detector.mediapipe_faces import MediaPipeFaces

        return MediaPipeFaces("full" if name.endswith("full") else "short")
    raise ModelError(f"There is no face detector {name!r}; choose one of: {', '.join(DETECTORS)}.")


class _Scan:
    """Gathers faces over frames, so that the networks see full batches, and hands them out."""

    def __init__(self, scorer: Scorer, place: Place, tracker: Tracker) -> None:
        self.frames: list[ScoredFrame] = []
        self.frames_added = 0
        self.decode_seconds = self.detect_seconds = self.score_seconds = 0.0
        self._scorer = scorer
        self._place = place
        self._tracker = tracker
        self._waiting: deque[FoundFrame] = deque()
        self._crops: list[Image] = []
        self._asked: deque[Future[ScoredBatch]] = deque()
        self._scored: deque[FaceScore] = deque()  # of faces, in order

    def add(self, frame: Frame, faces: tuple[Face, ...]) -> tuple[list[int], list[Image]]:
        """Cut a frame's faces out and queue them for scoring; returns track ids and crops."""
        found, crops = take_faces(frame, faces, self._tracker, self._scorer.ensemble)
        self._waiting.append(found)
        self._crops.extend(crops)
        self.frames_added += 1
        while len(self._crops) >= self._scorer.batch:
            self._ask(self._scorer.batch)
        return [id for id, _, _ in found.faces], crops

    def finish(self) -> None:
        """Ask for the rest, however few they are."""
        if self._crops:
            self._ask(len(self._crops))

    def wait(self, check: Callable[[], None], at_most: int) -> None:
        """Wait until no more than `at_most` batches are unanswered; `check` may end it."""
        while self._asked and (len(self._asked) > at_most or self._asked[0].done()):
            try:
                batch = self._asked[0].result(timeout=0.1)
            except NotYet:
                check()
                continue
            self._asked.popleft()
            self.score_seconds += batch.seconds
            self._scored.extend(face_scores(self._scorer.ensemble, batch.logits))

    def take(self) -> tuple[ScoredFrame, ...]:
        """The frames that were completed since the last call, in order."""
        completed = []
        while self._waiting and len(self._waiting[0].faces) <= len(self._scored):
            found = self._waiting.popleft()
            completed.append(scored_frame(found, [self._scored.popleft() for _ in found.faces]))
        self.frames.extend(completed)
        return tuple(completed)

    def _ask(self, count: int) -> None:
        self._asked.append(self._place.submit(np.stack(self._crops[:count])))
        del self._crops[:count]

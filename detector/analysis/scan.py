"""The whole way: clip -> frames -> faces -> crops -> logits -> tracks -> finding.

The only module that knows all of it; pages, command line and API call `scan`. A cluster's workers
share its parts among machines: `search_frames` for one half, `scored_frame` for the other.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detector.analysis.engine import Engine
from detector.analysis.finding import assemble
from detector.errors import Cancelled, ClipError
from detector.faces.face import FaceDetector
from detector.faces.tracking import FrameFaces, Tracker, track_faces
from detector.limits import Limits
from detector.media.clip import Frame, Image
from detector.media.sandboxed_clip import SandboxedClip, open_clip
from detector.models.ensemble import probability
from detector.models.scorer import FaceScore, Scorer, face_scores
from detector.models.scoring_queue import QueueClient, ScoredBatch
from detector.models.spec import EnsembleSpec
from detector.pictures.folder import MOST_FRAMES, PictureFolder
from detector.result import Analysis, ScoredFace, ScoredFrame, Timings
from detector.settings import Settings

AHEAD = 2  # batches that wait for the networks while the next frames are looked at


@dataclass(frozen=True)
class Progress:
    """How far an analysis is: frames done of all, and the frames scored since the last report."""

    done: int
    total: int
    scored: tuple[ScoredFrame, ...]


def scan(
    path: Path | str,
    settings: Settings | None = None,
    engine: Engine | None = None,
    *,
    name: str | None = None,
    limits: Limits | None = None,
    pictures: PictureFolder | None = None,
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
        pictures: where previews and crops are kept; default, nowhere.
        on_progress: called in this thread whenever more frames are scored.
        cancelled: asked between frames; True stops the analysis.

    Raises:
        ClipError: the file is no clip that can be analysed.
        ModelError: weights or backend are not there.
        Cancelled: `cancelled` said so.

    Examples:
        >>> from detector import Settings, scan
        >>> analysis = scan("assets/samples/demo_selfblend_hopper.mp4", Settings(frames=8))
        >>> analysis.finding.band
        'some'
        >>> [(face.track, face.score > 0.9) for face in analysis.frames[0].faces]
        [(1, True)]
    """
    settings = settings or Settings()
    engine = engine or Engine()
    begun = time.perf_counter()
    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(open_clip(path, name, limits))
        detector = engine.face_detector(settings.face_detector)
        loaded = engine.models_for(settings)
        scorer = loaded.scorer
        scoring = _Scoring(scorer, stack.enter_context(loaded.queue.join()))
        chosen = reader.choose(settings.frames)
        keep_every = -(-len(chosen) // MOST_FRAMES)
        decode = detect = 0.0
        fresh: list[ScoredFrame] = []

        def check() -> None:
            if cancelled is not None and cancelled():
                raise Cancelled("The analysis was stopped; nothing was kept.")

        def report(at_least: int, done: int | None = None) -> None:
            fresh.extend(scoring.take())
            if on_progress is not None and len(fresh) >= at_least:
                done = len(scoring.frames) if done is None else done
                on_progress(Progress(done, len(chosen), tuple(fresh)))
                fresh.clear()

        check()
        searched = search_frames(reader, settings.frames, detector, scorer.ensemble)
        for number, one in enumerate(searched):
            decode += one.decode
            detect += one.detect
            scoring.add(one.faces, one.crops)
            if pictures is not None and number % keep_every == 0:
                ids = [id for id, _, _ in one.faces.faces]
                pictures.add(one.frame, zip(ids, one.crops, strict=True))
            scoring.wait(check, at_most=AHEAD)
            report(scorer.batch)
            check()
        scoring.finish()
        scoring.wait(check, at_most=0)
        report(0, len(chosen))
        clip = reader.describe()
    return assemble(
        clip,
        scoring.frames,
        settings,
        scorer.ensemble,
        loaded.models,
        Timings(decode, detect, scoring.seconds, total=time.perf_counter() - begun),
    )


@dataclass(frozen=True)
class SearchedFrame:
    """A frame in which faces were looked for.

    Attributes:
        frame: with its picture.
        faces: what was found.
        crops: of each face, RGB uint8 [s, s, 3] with s = `EnsembleSpec.crop_size`.
        decode, detect: seconds spent on reading the frame, and on finding and cropping its faces.
    """

    frame: Frame
    faces: FrameFaces
    crops: list[Image]
    decode: float
    detect: float


def search_frames(
    reader: SandboxedClip, count: int | None, detector: FaceDetector, ensemble: EnsembleSpec
) -> Iterator[SearchedFrame]:
    """Decode the frames of a clip one by one, find their faces, follow them, and crop them.

    Args:
        reader: of the clip, open.
        count: frames, spread evenly over time; None for every one.
        detector: finds the faces.
        ensemble: says how large the crops are.

    Yields:
        each frame that can be decoded, in order.

    Raises:
        ClipError: none of the frames can be decoded.
    """
    tracker = Tracker()
    frames = reader.sample(count)
    nothing = True
    while True:
        started = time.perf_counter()
        frame = next(frames, None)
        decoded = time.perf_counter()
        if frame is None:
            break
        faces, crops = track_faces(frame, detector.detect(frame.image), tracker, ensemble)
        yield SearchedFrame(frame, faces, crops, decoded - started, time.perf_counter() - decoded)
        nothing = False
    if nothing:
        raise ClipError(
            f"None of the chosen frames of “{reader.label}” can be decoded; choose more frames or "
            "get the original file."
        )


class _Scoring:
    """Gathers crops over frames, so that the networks see full batches, and hands scores out."""

    def __init__(self, scorer: Scorer, client: QueueClient) -> None:
        self.frames: list[ScoredFrame] = []
        self.seconds = 0.0  # that the networks took
        self._scorer = scorer
        self._client = client
        self._waiting: deque[FrameFaces] = deque()
        self._crops: list[Image] = []
        self._asked: deque[Future[ScoredBatch]] = deque()
        self._scored: deque[FaceScore] = deque()  # of faces, in order

    def add(self, found: FrameFaces, crops: Iterable[Image]) -> None:
        """Queue a frame's faces for scoring."""
        self._waiting.append(found)
        self._crops.extend(crops)
        while len(self._crops) >= self._scorer.batch:
            self._ask(self._scorer.batch)

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
            self.seconds += batch.seconds
            self._scored.extend(face_scores(self._scorer.ensemble, batch.logits))

    def take(self) -> tuple[ScoredFrame, ...]:
        """Return the frames that were completed since the last call, in order."""
        completed = []
        while self._waiting and len(self._waiting[0].faces) <= len(self._scored):
            found = self._waiting.popleft()
            completed.append(scored_frame(found, [self._scored.popleft() for _ in found.faces]))
        self.frames.extend(completed)
        return tuple(completed)

    def _ask(self, count: int) -> None:
        self._asked.append(self._client.submit(np.stack(self._crops[:count])))
        del self._crops[:count]


def scored_frame(found: FrameFaces, scores: Iterable[FaceScore]) -> ScoredFrame:
    """Return the frame with what the networks say of its faces, in the same order."""
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

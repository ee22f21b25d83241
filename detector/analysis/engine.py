"""The models of a process, loaded once and shared by all threads."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from detector.errors import ModelError
from detector.faces.blazeface import BlazeFace, ConfirmedFaces
from detector.faces.face import MIN_SCORE, FaceDetector
from detector.models import installed
from detector.models.backends import backend_named
from detector.models.load import load_scorer
from detector.models.scorer import Scorer
from detector.models.scoring_queue import ScoringQueue
from detector.result import Model, fingerprint
from detector.settings import DETECTORS, Backend, Settings


@dataclass(frozen=True)
class LoadedModels:
    """The networks that a scan with certain settings scores with.

    Attributes:
        queue: scores crops, for all scans at once.
        models: the networks, as a result names them.
        fingerprint: as `detector.result.fingerprint_of` gives it for every analysis made with
            these models and settings.
    """

    queue: ScoringQueue
    models: tuple[Model, ...]
    fingerprint: str

    @property
    def scorer(self) -> Scorer:
        """What the queue is for; its `ensemble` has the thresholds of the bands."""
        return self.queue.scorer


class Engine:
    """The models of this process: loaded once on first use, shared by all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: dict[tuple[str, str], ScoringQueue] = {}  # by models and backend
        self._detectors: dict[str, FaceDetector] = {}

    def models_for(self, settings: Settings) -> LoadedModels:
        """Return the networks that `settings` name, and what identifies them; raises ModelError."""
        queue = self.queue(settings.backend, settings.models)
        models = describe(queue.scorer)
        return LoadedModels(
            queue,
            models,
            fingerprint(
                settings.frames,
                settings.face_detector,
                MIN_SCORE,
                models,
                queue.scorer.ensemble.bands,
            ),
        )

    def warm_up(self, settings: Settings | None = None) -> None:
        """Load what `settings` need; raises ModelError."""
        settings = settings or Settings()
        self.face_detector(settings.face_detector)
        self.scorer(settings.backend, settings.models)

    def scorer(self, backend: Backend = "auto", models: str = "") -> Scorer:
        """Return the scorer for `backend` with the ensemble called `models`; raises ModelError."""
        return self.queue(backend, models).scorer

    def queue(self, backend: Backend = "auto", models: str = "") -> ScoringQueue:
        """Return the queue of the scorer for `backend` and `models`; raises ModelError."""
        with self._lock:
            if (models, backend) not in self._queues:
                queue, name = ScoringQueue(self.load(backend, models)), backend
                if backend == "auto":
                    # What it chose and what is asked for by name are one copy of the networks.
                    scorer = queue.scorer
                    name = backend_named(scorer.backend, scorer.precision, scorer.device)
                self._queues[models, backend] = self._queues.setdefault((models, name), queue)
            return self._queues[models, backend]

    def load(self, backend: Backend, models: str = "") -> Scorer:
        """Load a new scorer for `backend` and `models`; raises ModelError."""
        if not models:
            return load_scorer(backend)
        return load_scorer(backend, installed.get_model(models).read())

    def face_detector(self, name: str) -> FaceDetector:
        """Return the face detector called `name`, one of `DETECTORS`; raises ModelError."""
        with self._lock:
            if name not in self._detectors:
                self._detectors[name] = _load_detector(name)
            return self._detectors[name]


def describe(scorer: Scorer) -> tuple[Model, ...]:
    """Return the networks of a scorer, as a result names them."""
    quantized = scorer.precision == "int8"
    return tuple(
        Model(
            name=network.name,
            version=network.version,
            sha256=network.sha256,
            input_size=network.input_size,
            weight=network.weight,
            temperature=network.temperature,
            backend=scorer.backend,
            device=scorer.device,
            precision=scorer.precision,
            quantized_sha256=network.int8.sha256 if quantized and network.int8 else None,
        )
        for network in scorer.ensemble.networks
    )


def _load_detector(name: str) -> FaceDetector:
    if name == "blazeface-full":
        return ConfirmedFaces()
    if name == "blazeface-short":
        return BlazeFace("short")
    if name in ("mediapipe-full", "mediapipe-short"):
        from detector.faces.mediapipe import MediaPipeFaces

        return MediaPipeFaces("full" if name.endswith("full") else "short")
    raise ModelError(f"There is no face detector {name!r}; choose one of: {', '.join(DETECTORS)}.")

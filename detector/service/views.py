"""How the service shows a job: the fields that its clients read."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from detector.evaluation.result import UsedModel
from detector.models.installed import InstalledModels
from detector.service.records import JobRecord, JobState
from detector.settings import DEFAULT_FRAMES, DETECTORS, Backend, DetectorName, Settings

Event = Literal["progress", "done", "failed", "deleted"]


class SentOptions(BaseModel):
    """How to look at a clip, as the fields of a form say it."""

    model_config = ConfigDict(extra="forbid")

    frames: Annotated[int, Field(ge=1, le=1_000_000)] | Literal["all"] = Field(
        DEFAULT_FRAMES, description="frames to analyse, evenly over time, or “all”"
    )
    face_detector: DetectorName = Field(
        DETECTORS[0], description="MediaPipe's contact a Google server for usage metrics"
    )
    backend: Backend = Field("auto", description="what computes the scores")
    models: str = Field("", max_length=100, description="as `GET /models` names them")

    def settings(self) -> Settings:
        """Return the same for an analysis."""
        frames = None if self.frames == "all" else self.frames
        return Settings(frames, self.face_detector, self.backend, self.models)


class Options(BaseModel):
    """How to look at a clip."""

    frames: int | None = Field(description="frames, evenly over time; null for every frame")
    face_detector: DetectorName
    backend: Backend
    models: str = Field(description="name of installed models; empty for the default")


class FramesDone(BaseModel):
    """How many frames of how many; both 0 until known."""

    done: int
    total: int


class JobView(BaseModel):
    """One analysis that was asked for."""

    id: str
    state: JobState
    progress: FramesDone
    ahead: int = Field(description="analyses that begin before this one")
    name: str = Field(description="of the clip, as it was sent")
    bytes: int
    sha256: str = Field(description="of the clip, hex")
    options: Options
    created: datetime.datetime
    started: datetime.datetime | None
    ended: datetime.datetime | None
    attempts: int = Field(description="how often it was begun; more than 1 after a restart")
    error: str | None = Field(description="one sentence, where it failed")
    analysis: int | None = Field(description="number in the library, once it is done")
    links: dict[str, str] = Field(description="paths of what belongs to it")


class JobPage(BaseModel):
    """Some of the jobs, newest first."""

    items: list[JobView]
    total: int = Field(description="on all pages")
    page: int
    pages: int


class ModelsView(BaseModel):
    """Installed models that one can choose between."""

    name: str = Field(description="to choose it by, as the option `models`; empty: the default")
    calibrated: bool
    networks: list[UsedModel]


def job_view(record: JobRecord, ahead: int, base: str) -> JobView:
    """Return a record as its owner may see it.

    Args:
        record: what is kept of it.
        ahead: analyses that begin before it.
        base: path of all jobs.
    """
    here = f"{base}/{record.id}"
    links = {"self": here, "events": f"{here}/events"}
    if record.state == "done" and record.analysis_id is not None:
        links |= {name: f"{here}/result.{name}" for name in ("json", "csv", "pdf")}
        links["frames"] = here + "/frames/{index}.jpg"
    settings = record.settings
    return JobView(
        id=record.id,
        state=record.state,
        progress=FramesDone(done=record.done, total=record.total),
        ahead=ahead,
        name=record.name,
        bytes=record.bytes,
        sha256=record.sha256,
        options=Options(
            frames=settings.frames,
            face_detector=settings.face_detector,
            backend=settings.backend,
            models=settings.models,
        ),
        created=_moment(record.created_at),
        started=None if record.started_at is None else _moment(record.started_at),
        ended=None if record.ended_at is None else _moment(record.ended_at),
        attempts=record.attempts,
        error=record.error,
        analysis=record.analysis_id,
        links=links,
    )


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def models_view(models: InstalledModels) -> ModelsView:
    """Return installed models as everybody may see them; raises ModelError."""
    ensemble = models.read()
    return ModelsView(
        name=models.name,
        calibrated=ensemble.bands.calibrated,
        networks=[UsedModel.of(network) for network in ensemble.networks],
    )

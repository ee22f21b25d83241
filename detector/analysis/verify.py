"""Scan a clip again and say whether a report's scores are what the networks give.

Whoever receives a report can so find out, without trusting its sender, whether the clip, the
weights, or any number was changed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.analysis.engine import Engine
from detector.analysis.scan import Progress, scan
from detector.errors import ReportError
from detector.files import sha256_of
from detector.models.backends import backend_named
from detector.models.installed import find_by_weights
from detector.models.networks.registry import network_title
from detector.result import Analysis, Model, ScoredFace, ScoredFrame
from detector.settings import DETECTORS, Backend, Settings
from detector.version import __version__
from detector.wording import clock

SAME_BACKEND = 1e-3  # of a score, a logit, or a larger number's own size
OTHER_BACKEND = 2e-2
MOST_JSON = 512 << 20  # bytes of a report that are read

# What may differ between two scans that agree: when, how fast, and on which machine.
_NOT_COMPARED = {"schema_version", "software", "created", "timings", "name", "device"}


@dataclass(frozen=True)
class Difference:
    """Something that is not as the report says.

    Attributes:
        place: where, for example "frame 12 at 0.48 s, face 1".
        what: the field, for example "score".
        reported, found: both values, as text.
    """

    place: str
    what: str
    reported: str
    found: str

    @property
    def sentence(self) -> str:
        """The difference in one sentence."""
        start = self.place[:1].upper() + self.place[1:]
        return f"{start}: {self.what} is {self.reported} in the report, but {self.found} here."


@dataclass(frozen=True)
class Verification:
    """What a second scan found.

    Attributes:
        differences: from the report, first to last; empty where everything agrees.
        scores: number of scores that were compared.
        largest: largest difference of a score; None where none was compared.
        tolerance: differences up to this were let pass.
        notes: sentences on what limits the comparison.
    """

    differences: tuple[Difference, ...]
    scores: int
    largest: float | None
    tolerance: float
    notes: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """True where nothing differs by more than the tolerance."""
        return not self.differences


def verify(
    report: Analysis,
    path: Path | str,
    engine: Engine | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Verification:
    """Compare a report with a new scan of the clip, with the report's own settings.

    The scan is spared where the clip or the weights are others: then no score can be compared.

    Args:
        report: as `Analysis.from_json` read it.
        path: the clip.
        engine: models that are loaded already; default, a new one.
        on_progress: called while the clip is scanned.

    Raises:
        ClipError: the clip cannot be read.
        ModelError: weights are missing or altered here.
        ReportError: the report asks for a face detector that there is not.

    Examples:
        >>> from detector import Settings, scan, verify
        >>> report = scan("assets/samples/grid_bbaf2n.mp4", Settings(frames=2))
        >>> verify(report, "assets/samples/grid_bbaf2n.mp4").agrees
        True
        >>> for difference in verify(report, "assets/samples/grid_brbk7n.mp4").differences:
        ...     print(difference.place, "differs by", difference.what)
        the clip differs by its SHA-256
    """
    engine = engine or Engine()
    path = Path(path)
    found = _clip_hash(path)
    if found != report.clip.sha256:
        other = Difference("the clip", "its SHA-256", report.clip.sha256, found)
        return Verification((other,), 0, None, SAME_BACKEND, ())
    settings = _settings(report)
    here = engine.models_for(settings).models
    tolerance, notes = _conditions(report, here)
    others = tuple(_model_differences(report, here))
    if others:
        return Verification(others, 0, None, tolerance, notes)
    again = scan(path, settings, engine, name=report.clip.name, on_progress=on_progress)
    differences = tuple(_compare(report, again, tolerance))
    gaps = [abs(a.score - b.score) for a, b in _pairs(report, again)]
    return Verification(differences, len(gaps), max(gaps, default=None), tolerance, notes)


def read_report(path: Path | str) -> Analysis:
    """Return the analysis that a JSON report holds.

    Raises:
        ReportError: the file cannot be opened, or is far larger than any report.
        ResultError: it is no result, damaged, or of a newer schema.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MOST_JSON + 1)
    except OSError as error:
        raise ReportError(
            f"The report “{path}” cannot be opened ({error.strerror}); choose the JSON file that "
            "Veriframe saved."
        ) from error
    if len(content) > MOST_JSON:
        raise ReportError(
            f"The report “{path}” is larger than {MOST_JSON >> 20} MiB, as none of Veriframe's is; "
            "choose the JSON file that Veriframe saved."
        )
    return Analysis.from_json(content)


def _clip_hash(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise ReportError(
            f"The clip “{path}” cannot be opened ({error.strerror}); choose the file that was "
            "analysed."
        ) from error


def _settings(report: Analysis) -> Settings:
    sampling = report.sampling
    if sampling.face_detector not in DETECTORS:
        raise ReportError(
            f"The report was made with the face detector “{sampling.face_detector}”, which this "
            "Veriframe does not have; install the version that the report names."
        )
    if sampling.requested is not None and sampling.requested < 1:
        raise ReportError("The report asks for no frames; it was changed, so ask for the original.")
    backend: Backend = "auto"
    if report.models:
        model = report.models[0]
        backend = backend_named(model.backend, model.precision, model.device)
    return Settings(
        sampling.requested, sampling.face_detector, backend, find_by_weights(report.models)
    )


def _conditions(report: Analysis, here: tuple[Model, ...]) -> tuple[float, tuple[str, ...]]:
    """Return the tolerance, and what the reader should know of it."""
    notes = []
    if report.software != __version__:
        notes.append(f"The report was made by Veriframe {report.software}, this is {__version__}.")
    there = {(model.backend, model.precision) for model in report.models}
    if there != {(model.backend, model.precision) for model in here}:
        named = " and ".join(sorted(f"{backend} ({precision})" for backend, precision in there))
        notes.append(
            f"The report was made with {named}, this scan with {here[0].backend} "
            f"({here[0].precision}): compared to within {OTHER_BACKEND:g} instead of "
            f"{SAME_BACKEND:g}."
        )
        return OTHER_BACKEND, tuple(notes)
    if {model.device for model in report.models} != {model.device for model in here}:
        notes.append(f"The report was made on another processor: {report.models[0].device}.")
    return SAME_BACKEND, tuple(notes)


def _model_differences(report: Analysis, here: tuple[Model, ...]) -> Iterator[Difference]:
    installed = {model.name: model for model in here}
    for model in report.models:
        place = f"the network {network_title(model.name)}"
        other = installed.pop(model.name, None)
        if other is None:
            yield Difference(place, "its presence", "one of the networks", "not installed")
            continue
        if other.sha256 != model.sha256:
            yield Difference(place, "the SHA-256 of its weights", model.sha256, other.sha256)
        for name in ("version", "input_size", "weight", "temperature"):
            reported, found = getattr(model, name), getattr(other, name)
            if reported != found:
                yield Difference(place, name, str(reported), str(found))
    for name in installed:
        place = f"the network {network_title(name)}"
        yield Difference(place, "its presence", "not one of the networks", "one of them")


def _compare(report: Analysis, again: Analysis, tolerance: float) -> Iterator[Difference]:
    for name in ("clip", "sampling", "bands"):
        words = {"clip": "the clip", "sampling": "the settings", "bands": "the bands' limits"}[name]
        yield from _values(getattr(report, name), getattr(again, name), words, "", tolerance)
    yield from _frames(report, again, tolerance)
    yield from _counted(report.tracks, again.tracks, "the clip", "the number of faces followed")
    for before, after in zip(report.tracks, again.tracks, strict=False):
        yield from _values(before, after, f"face {before.id} as a whole", "", tolerance)
    finding, found = report.finding, again.finding
    if report.software != __version__:  # other versions may put things in other words
        finding = dataclasses.replace(finding, reasons=found.reasons)
    yield from _values(finding, found, "the finding", "", tolerance)


def _frames(report: Analysis, again: Analysis, tolerance: float) -> Iterator[Difference]:
    yield from _counted(report.frames, again.frames, "the clip", "the number of frames analysed")
    for before, after in zip(report.frames, again.frames, strict=False):
        place = f"frame {before.index} at {clock(before.time)}"
        yield from _values(
            dataclasses.replace(before, faces=()),
            dataclasses.replace(after, faces=()),
            place,
            "",
            tolerance,
        )
        yield from _counted(before.faces, after.faces, place, "the number of faces")
        for face, other in zip(before.faces, after.faces, strict=False):
            yield from _face(face, other, f"{place}, face {face.track}", tolerance)


def _face(
    face: ScoredFace, other: ScoredFace, place: str, tolerance: float
) -> Iterator[Difference]:
    # What people read first is named first.
    for name in ("score", "logit", "logits"):
        yield from _values(getattr(face, name), getattr(other, name), place, name, tolerance)
    rest = dataclasses.replace(face, score=0.0, logit=0.0, logits={})
    others = dataclasses.replace(other, score=0.0, logit=0.0, logits={})
    yield from _values(rest, others, place, "", tolerance)


def _counted(before: Sized, after: Sized, place: str, what: str) -> Iterator[Difference]:
    if len(before) != len(after):
        yield Difference(place, what, str(len(before)), str(len(after)))


def _values(
    before: Any, after: Any, place: str, what: str, tolerance: float
) -> Iterator[Difference]:
    """Yield the differences between two values of the same type, however deep."""
    if dataclasses.is_dataclass(before):
        for field in dataclasses.fields(before):
            if field.name not in _NOT_COMPARED:
                name = f"{what}.{field.name}".lstrip(".")
                yield from _values(
                    getattr(before, field.name), getattr(after, field.name), place, name, tolerance
                )
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            name = f"{what} of {network_title(key)}"
            yield from _values(before.get(key), after.get(key), place, name, tolerance)
    elif isinstance(before, tuple) and isinstance(after, tuple) and len(before) == len(after):
        for a, b in zip(before, after, strict=True):
            yield from _values(a, b, place, what, tolerance)
    elif not _equal(before, after, tolerance):
        yield Difference(place, what, _text(before), _text(after))


def _equal(before: Any, after: Any, tolerance: float) -> bool:
    if isinstance(before, float) and isinstance(after, float):
        return abs(before - after) <= tolerance * max(1.0, abs(before))
    return bool(before == after)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if value is None:
        return "nothing"
    return f"“{value}”" if isinstance(value, str) else str(value)


def _pairs(report: Analysis, again: Analysis) -> Iterator[tuple[ScoredFace, ScoredFace]]:
    frames: dict[int, ScoredFrame] = {frame.index: frame for frame in again.frames}
    for frame in report.frames:
        if frame.index in frames:
            yield from zip(frame.faces, frames[frame.index].faces, strict=False)

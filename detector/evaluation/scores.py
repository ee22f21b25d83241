"""Labelled items scored: crops directly, clips and pictures by the whole pipeline."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from detector.analysis.aggregation import aggregate
from detector.analysis.engine import Engine
from detector.analysis.scan import scan
from detector.datasets.labelled import Labelled
from detector.datasets.pictures import crop_for_ensemble, face_of_crop, read_picture
from detector.errors import ClipError, EvaluationError
from detector.evaluation.alterations import Alteration, alter, rate_of, read_pictures, still
from detector.faces.quality import fine_detail, measure, why_unusable
from detector.media.clip import Image
from detector.models.ensemble import calibrated, weighted_mean
from detector.models.scorer import Scorer
from detector.models.spec import Aggregation, EnsembleSpec
from detector.result import Analysis
from detector.settings import Backend, Settings

BATCH = 32
MEASURES = ("size", "sharpness", "brightness")
UNKNOWN_DETAIL = 0.0  # of faces in whole clips, whose crops are not at hand any more


@dataclass(frozen=True)
class LabelledScores:
    """What the networks say of labelled items, before calibration.

    Attributes:
        faces: one row a face: clip, frame (number), track, usable (counts in a band), detail,
            `MEASURES`, and the logit of each network by its name.
        clips: one row a clip, by name: label, set, method, source, kind, and state, which
            forbids a band, "" where none does.
        networks: names of the networks.
        unreadable, faceless, failed: items that could not be decoded, show no face, or could
            not be altered.
    """

    faces: pd.DataFrame
    clips: pd.DataFrame
    networks: tuple[str, ...]
    unreadable: int = 0
    faceless: int = 0
    failed: int = 0

    def logits(self, ensemble: EnsembleSpec) -> pd.Series:
        """Return the ensemble's calibrated logit of each face."""
        logits: pd.Series = weighted_mean(ensemble.networks, self.faces)
        return logits

    def disagreement(self, ensemble: EnsembleSpec) -> pd.Series:
        """Return highest less lowest calibrated logit of the networks, for each face."""
        each = pd.DataFrame(calibrated(ensemble.networks, self.faces[list(self.networks)]))
        return each.max(axis=1) - each.min(axis=1)

    def per_frame(self, logits: pd.Series) -> pd.DataFrame:
        """Return each frame's highest face: clip, frame, logit, and what is known of the clip."""
        table = self.faces[["clip", "frame"]].assign(logit=logits)
        frames = table.groupby(["clip", "frame"], sort=True)["logit"].max().reset_index()
        return frames.join(self.clips, on="clip")

    def per_clip(self, logits: pd.Series, aggregation: Aggregation) -> pd.DataFrame:
        """Return each clip's logit, that of its highest track, with what is known of the clip.

        Only faces that count in a band count here; where a clip has none, all do, so that every
        clip has a logit.
        """
        table = self.faces[["clip", "track", "usable"]].assign(logit=logits)
        any_usable = table.groupby("clip")["usable"].transform("any")
        table = table[table["usable"] | ~any_usable]
        tracks = table.groupby(["clip", "track"], sort=True)["logit"].agg(
            lambda part: aggregate(part.to_numpy(), aggregation)
        )
        clips = tracks.groupby("clip", sort=True).max().rename("logit").reset_index()
        known = self.clips[["label", "set", "method", "source", "kind"]]
        return clips.join(known, on="clip")

    def states(self) -> pd.DataFrame:
        """Return each clip's `state`, and `detail`, the median of its faces, by the clip's name."""
        detail = self.faces.groupby("clip")["detail"].median()
        return self.clips[["state"]].join(detail)

    def steadiness(self, logits: pd.Series, threshold: float) -> pd.Series:
        """Return the share of usable frames at or above a threshold, of each steadiest track."""
        table = self.faces[["clip", "track", "usable"]].assign(above=logits >= threshold)
        any_usable = table.groupby("clip")["usable"].transform("any")
        table = table[table["usable"] | ~any_usable]
        return table.groupby(["clip", "track"])["above"].mean().groupby("clip").max()


def score_labelled(
    labelled: Labelled,
    engine: Engine,
    backend: Backend = "auto",
    frames: int = 32,
    alteration: Alteration | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> LabelledScores:
    """Score every item, altered first where asked.

    Args:
        labelled: what to score.
        engine: the models.
        backend: which of its scorers.
        frames: frames looked at in each video.
        alteration: what is done to each item before; temporary files are always removed.
        on_progress: called with files done and files in all.

    Raises:
        EvaluationError: no item can be scored.
        ModelError: weights or backend are not there.
    """
    gathered = _Scan(labelled, engine, backend, frames, alteration)
    rows = labelled.rows.sort_values(["kind", "path"])
    for done, row in enumerate(rows.itertuples(index=False), start=1):
        gathered.add(row)
        if on_progress and (done % BATCH == 0 or done == len(rows)):
            on_progress(done, len(rows))
    return gathered.finish()


class _Scan:
    """Gathers crops, so that the networks see full batches."""

    def __init__(
        self,
        labelled: Labelled,
        engine: Engine,
        backend: Backend,
        frames: int,
        alteration: Alteration | None,
    ) -> None:
        self._labelled = labelled
        self._engine = engine
        self._settings = Settings(frames=frames, backend=backend)
        self._scorer: Scorer = engine.scorer(backend)
        self._alteration = alteration if alteration and alteration.steps else None
        self._faces: list[dict[str, Any]] = []
        self._clips: dict[str, dict[str, Any]] = {}
        self._crops: list[Image] = []
        self._waiting: list[dict[str, Any]] = []
        self._frames: dict[str, int] = {}
        self._unreadable = self._faceless = self._failed = 0

    def add(self, row: Any) -> None:
        """Score one file, or keep its crop until the batch is full."""
        try:
            with tempfile.TemporaryDirectory(prefix="veriframe-") as folder:
                if row.kind == "crop":
                    self._crop(row, Path(folder))
                else:
                    self._whole(row, Path(folder))
        except ClipError:
            self._unreadable += 1
        if len(self._crops) >= BATCH:
            self._flush()

    def finish(self) -> LabelledScores:
        """Score what waits, and hand everything over."""
        self._flush()
        if not self._faces:
            raise EvaluationError(
                "No item can be scored: none can be decoded, or none shows a face; name other data."
            )
        names = tuple(network.name for network in self._scorer.ensemble.networks)
        faces = pd.DataFrame(self._faces)
        clips = pd.DataFrame.from_dict(self._clips, orient="index")
        return LabelledScores(faces, clips, names, self._unreadable, self._faceless, self._failed)

    def _crop(self, row: Any, folder: Path) -> None:
        picture = read_picture(self._labelled.root / row.path)
        factor = float(row.crop_factor)
        if self._alteration:
            try:
                path = alter(
                    still(picture), self._alteration, folder, Fraction(25), _seed(row.sha256)
                )
                pictures = list(read_pictures(path))
            except ClipError:
                self._failed += 1
                return
            # All frames show the same; the middle one is coded as most frames of a clip are.
            picture = pictures[len(pictures) // 2]
            factor *= self._alteration.kept
        crop = crop_for_ensemble(picture, factor, self._scorer.ensemble)
        quality = measure(face_of_crop(picture, factor), crop)
        self._crops.append(crop)
        number = self._frames.get(row.clip, 0)
        self._frames[row.clip] = number + 1
        self._waiting.append(
            {
                "clip": row.clip,
                "frame": number,
                "track": 1,
                "usable": quality.usable,
                "detail": fine_detail(crop),
                **{name: getattr(quality, name) for name in MEASURES},
            }
        )
        self._know(row, "" if quality.usable else why_unusable([quality]))

    def _whole(self, row: Any, folder: Path) -> None:
        path = self._labelled.root / row.path
        if self._alteration:
            try:
                path = self._altered(row, path, folder)
            except ClipError:
                self._failed += 1
                return
        analysis = scan(path, self._settings, self._engine)
        faces = list(_faces_of(row.clip, analysis, self._frames.get(row.clip, 0)))
        if not faces:
            self._faceless += 1
            return
        self._frames[row.clip] = 1 + max(face["frame"] for face in faces)
        self._faces.extend(faces)
        states = analysis.finding.states
        self._know(row, states[0] if states else "")

    def _altered(self, row: Any, path: Path, folder: Path) -> Path:
        assert self._alteration is not None
        if row.kind != "video":
            return alter(
                still(read_picture(path)), self._alteration, folder, Fraction(25), _seed(row.sha256)
            )
        return alter(
            read_pictures(path), self._alteration, folder, rate_of(path), _seed(row.sha256)
        )

    def _know(self, row: Any, state: str) -> None:
        known = self._clips.get(row.clip)
        if known is not None:
            # One usable picture is enough to judge a clip that was handed over as pictures.
            known["state"] = known["state"] and state
            return
        self._clips[row.clip] = {
            "label": int(row.label),
            "set": str(row.set),
            "method": str(row.method),
            "source": str(row.source),
            "kind": str(row.kind),
            "state": state,
        }

    def _flush(self) -> None:
        if not self._crops:
            return
        logits = self._scorer.logits(np.stack(self._crops))
        for place, face in enumerate(self._waiting):
            self._faces.append(
                face | {name: float(values[place]) for name, values in logits.items()}
            )
        self._crops.clear()
        self._waiting.clear()


def _faces_of(clip: str, analysis: Analysis, first: int) -> Iterator[dict[str, Any]]:
    judged = {track.id for track in analysis.tracks if track.band is not None}
    for number, frame in enumerate(analysis.frames):
        for face in frame.faces:
            yield {
                "clip": clip,
                "frame": first + number,
                "track": face.track,
                "usable": face.quality.usable and face.track in judged,
                "detail": UNKNOWN_DETAIL,
                **{name: getattr(face.quality, name) for name in MEASURES},
                **face.logits,
            }


def _seed(sha256: str) -> int:
    return int(sha256[:8], 16)

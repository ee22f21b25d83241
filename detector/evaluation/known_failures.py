"""Where the detector is wrong on the clips that everybody has: the shipped samples, re-encoded.

Every sample is analysed as it is and after each alteration of the robustness table. What reaches
"some evidence" although it is unaltered, and what does not although it is altered, is listed.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from detector.analysis.engine import Engine
from detector.analysis.scan import scan
from detector.errors import ClipError, EvaluationError
from detector.evaluation.alterations import (
    ALTERATIONS,
    Alteration,
    alter,
    rate_of,
    read_pictures,
    still,
)
from detector.evaluation.result import VERSION, Run, UsedData, run_of
from detector.files import ASSETS, sha256_of
from detector.media.clip import Image
from detector.media.containers import open_container
from detector.models.scorer import Scorer
from detector.result import Analysis
from detector.samples import samples
from detector.settings import Settings

BLENDED = ("demo_selfblend_hopper.mp4",)  # all other samples are unaltered
FRAMES = 16


@dataclass(frozen=True)
class Shipped:
    """A sample: its file, what to call it, and whether a face in it was altered."""

    path: Path
    title: str
    manipulated: bool


@dataclass(frozen=True)
class Failure:
    """A sample on the wrong side of "some evidence".

    Attributes:
        sample, title: file name and title of the sample.
        alteration, alteration_title: what was done to it before; "original" where nothing was.
        manipulated: whether a face in it is altered.
        band: of the finding, clip level.
        logit: of the clip.
    """

    sample: str
    title: str
    alteration: str
    alteration_title: str
    manipulated: bool
    band: str
    logit: float


@dataclass(frozen=True)
class Failures:
    """`failures.json`.

    Attributes:
        version: of this format.
        run: with what, on what; its data are the samples and their variants.
        unaltered, manipulated: variants of each kind that were judged, clip level.
        abstained: variants for which a state forbids a band.
        failed: variants that could not be made or read.
        alterations: titles of those that were tried.
        failures: the highest logit first.
    """

    version: str
    run: Run
    unaltered: int
    manipulated: int
    abstained: int
    failed: int
    alterations: tuple[str, ...]
    failures: tuple[Failure, ...]


def shipped() -> tuple[Shipped, ...]:
    """Return every shipped clip and portrait."""
    clips = [Shipped(one.path, one.title, one.path.name in BLENDED) for one in samples()]
    portraits = sorted((ASSETS / "samples" / "portraits").iterdir())
    return (
        *clips,
        *(Shipped(p, f"Portrait: {p.stem.replace('_', ' ')}", False) for p in portraits),
    )


def find_failures(
    engine: Engine,
    settings: Settings | None = None,
    *,
    files: tuple[Shipped, ...] | None = None,
    alterations: tuple[Alteration, ...] = ALTERATIONS,
    on_progress: Callable[[int, int], None] | None = None,
) -> Failures:
    """Analyse every sample after every alteration.

    Args:
        engine: the models.
        settings: how to look at each; default, `FRAMES` frames.
        files: default, all samples.
        alterations: default, those of the robustness table.
        on_progress: called with variants done and variants in all.

    Raises:
        EvaluationError: no sample can be analysed.
        ModelError: weights or backend are not there.
    """
    settings = settings or Settings(frames=FRAMES)
    files = shipped() if files is None else files
    found: list[Failure] = []
    judged = {False: 0, True: 0}
    abstained = failed = done = 0
    for file in files:
        for alteration in alterations:
            try:
                finding = _analysed(file, alteration, engine, settings).finding
            except ClipError:
                failed += 1
                finding = None
            if finding is not None and finding.band is None:
                abstained += 1
            elif finding is not None and finding.band is not None and finding.logit is not None:
                judged[file.manipulated] += 1
                if (finding.band in ("some", "strong")) != file.manipulated:
                    found.append(_failure(file, alteration, finding.band, finding.logit))
            done += 1
            if on_progress is not None:
                on_progress(done, len(files) * len(alterations))
    if failed == done:
        raise EvaluationError("No sample can be analysed; restore assets/samples and try again.")
    scorer = engine.scorer(settings.backend, settings.models)
    return Failures(
        version=VERSION,
        run=_run(scorer, settings, files, done, judged, failed),
        unaltered=judged[False],
        manipulated=judged[True],
        abstained=abstained,
        failed=failed,
        alterations=tuple(alteration.title for alteration in alterations),
        failures=tuple(sorted(found, key=lambda one: (-one.logit, one.sample, one.alteration))),
    )


def _failure(file: Shipped, alteration: Alteration, band: str, logit: float) -> Failure:
    return Failure(
        file.path.name, file.title, alteration.name, alteration.title, file.manipulated, band, logit
    )


def _analysed(
    file: Shipped, alteration: Alteration, engine: Engine, settings: Settings
) -> Analysis:
    """Analyse the sample after the alteration; its temporary file is gone again."""
    if not alteration.steps:
        return scan(file.path, settings, engine)
    seed = int(sha256_of(file.path)[:8], 16)
    with tempfile.TemporaryDirectory(prefix="veriframe-") as folder:
        pictures, rate = read_pictures(file.path), Fraction(25)
        if file.path.suffix == ".mp4":
            rate = rate_of(file.path)
        else:
            pictures = still(_picture(file.path))
        path = alter(pictures, alteration, Path(folder), rate, seed)
        return scan(path, settings, engine)


def _picture(path: Path) -> Image:
    """Read the picture of a file, RGB uint8 [h, w, 3]."""
    with open_container(path) as container:
        return np.asarray(next(container.decode(video=0)).to_ndarray(format="rgb24"), np.uint8)


def _run(
    scorer: Scorer,
    settings: Settings,
    files: tuple[Shipped, ...],
    items: int,
    judged: dict[bool, int],
    failed: int,
) -> Run:
    hashes = "".join(sha256_of(file.path) for file in files)
    return run_of(
        scorer,
        frames=settings.frames or 0,
        data=UsedData(
            name="shipped samples",
            split="all",
            fingerprint=hashlib.sha256(hashes.encode()).hexdigest()[:16],
            items=items,
            clips=judged[False] + judged[True],
            real=judged[False],
            manipulated=judged[True],
            unreadable=failed,
            faceless=0,
            kinds=("image", "video"),
        ),
        seed=0,
        resamples=0,
    )

"""What not judging does to the errors: risk and coverage (El-Yaniv and Wiener 2010).

An error is an unaltered clip at or above the threshold of *some evidence*, or a manipulated one
below it. A clip is not judged where a state forbids a band, or where it is inconclusive.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from detector.analysis.finding import MIN_BITS_PER_PIXEL_OTHERS, MIN_FRAMES, STEADY
from detector.datasets.labelled import Labelled
from detector.evaluation import bootstrap
from detector.evaluation.alterations import ALTERATIONS
from detector.evaluation.bootstrap import estimate_rate, resample
from detector.evaluation.evaluate import describe_run
from detector.evaluation.result import (
    VERSION,
    Abstained,
    Abstention,
    CoveragePoint,
    Estimate,
    QualityRule,
)
from detector.evaluation.scores import LabelledScores
from detector.faces.quality import BRIGHTNESS, MIN_DETAIL, MIN_SIZE
from detector.models.scorer import Scorer
from detector.models.spec import EnsembleSpec

COVERAGES = tuple(round(0.05 * step, 2) for step in range(1, 21))

RULES: tuple[QualityRule, ...] = (
    QualityRule("size", "larger side of the face, pixels", MIN_SIZE, None, "faces_too_small",
                f"Frames whose face is smaller than {MIN_SIZE:.0f} pixels do not count."),
    QualityRule("brightness", "mean luma of the face, 0 to 255", BRIGHTNESS[0], BRIGHTNESS[1],
                "faces_too_dark", "Frames whose face is too dark or too bright do not count."),
    QualityRule("detail", "log10 share of fine detail in the face", MIN_DETAIL, None,
                "heavily_recompressed",
                "Frames whose face holds too little fine detail do not count: compression, "
                "enlarging or blur has taken the traces."),
    QualityRule("compression", "bits for a pixel of a frame, H.264", MIN_BITS_PER_PIXEL_OTHERS,
                None, "heavily_recompressed",
                "Clips with too few bits for a pixel are not judged (newer codecs: half)."),
    QualityRule("frames", "usable frames of a face in a clip", float(MIN_FRAMES), None,
                "too_few_frames", f"A face needs {MIN_FRAMES} usable frames to be judged."),
    QualityRule("spread", "share of the frames at or above the limit of a band", STEADY, None, "",
                "A band above inconclusive needs three quarters of the frames at or above its "
                "limit."),
    QualityRule("disagreement", "share of the frames in which both networks are on one side", 0.7,
                None, "", "Disagreement of the networks is said, and does not change the band: "
                "the weaker of the two would decide."),
)  # fmt: skip


def abstention(
    labelled: Labelled,
    scores: Mapping[str, LabelledScores],
    scorer: Scorer,
    *,
    frames: int = 32,
    resamples: int = bootstrap.RESAMPLES,
    seed: int = bootstrap.SEED,
) -> Abstention:
    """Return everything that `abstention.json` holds.

    Args:
        labelled: the clips.
        scores: after each alteration, by name; "original" among them.
        scorer: with what they were scored.
        frames: frames that were looked at in each video.
        resamples, seed: of the bootstrap.
    """
    ensemble = scorer.ensemble
    titles = {alteration.name: alteration.title for alteration in ALTERATIONS}
    tables = {name: judgements(found, ensemble) for name, found in scores.items()}
    together = pd.concat(tables.values())
    variants = [
        _abstained(name, titles[name], table, resamples, seed) for name, table in tables.items()
    ]
    everything = _abstained("all", "All together", together, resamples, seed)
    notes = list(labelled.notes)
    for part in (variants[0], everything):
        notes.append(_verdict(part))
    worse = [part.title for part in variants if not _lowers(part)]
    if worse:
        notes.append(
            f"Not lowered among: {', '.join(worse)}; there the clips that are judged are no better "
            "than the rest."
        )
    return Abstention(
        version=VERSION,
        run=describe_run(labelled, next(iter(scores.values())), scorer, frames, resamples, seed),
        rules=RULES,
        curves=curves(together, resamples, seed),
        variants=(everything, *variants),
        notes=tuple(notes),
    )


def judgements(scores: LabelledScores, ensemble: EnsembleSpec) -> pd.DataFrame:
    """Return each clip as the detector judges it.

    Returns:
        one row a clip: label, source, logit, state ("" where none forbids a band), band (""
        where one does), error (where everything is judged), judged, confidence (distance from
        the nearer of the thresholds *inconclusive* and *some*, negative in between) and quality
        (detail).
    """
    bands = ensemble.bands
    table = scores.per_clip(scores.logits(ensemble), ensemble.aggregation).set_index("clip")
    states = scores.states()
    table = table.join(states)
    logit = table["logit"].to_numpy()
    steady = scores.steadiness(scores.logits(ensemble), bands.some).reindex(table.index)
    evidence = (logit >= bands.some) & (steady.to_numpy() >= STEADY)
    little = logit < bands.inconclusive
    error = (logit >= bands.some) != (table["label"].to_numpy() == 1)
    judged = (table["state"] == "").to_numpy() & (evidence | little)
    confidence = np.where(
        logit >= bands.some,
        logit - bands.some,
        np.where(little, bands.inconclusive - logit, -1.0),
    )
    return table.assign(error=error, judged=judged, confidence=confidence, evidence=evidence)


def curves(table: pd.DataFrame, resamples: int, seed: int) -> dict[str, tuple[CoveragePoint, ...]]:
    """Return risk against coverage for orders by confidence, by quality, and for none.

    Args:
        table: of `judgements`, with error, confidence and detail.
        resamples, seed: of the bootstrap.
    """
    error = table["error"].to_numpy(dtype=float)
    drawn = resample(list(table["source"]), resamples, seed)
    result = {}
    for name, order in (
        ("confidence", np.argsort(-table["confidence"].to_numpy(), kind="stable")),
        ("quality", np.argsort(-table["detail"].to_numpy(), kind="stable")),
    ):
        points = []
        for coverage in COVERAGES:
            kept = order[: max(round(coverage * len(order)), 1)]
            found = _share(error[kept], drawn.weights[:, kept])
            points.append(_point(coverage, found))
        result[name] = tuple(points)
    overall = _share(error, drawn.weights)
    result["random"] = tuple(_point(coverage, overall) for coverage in COVERAGES)
    return result


def _point(coverage: float, risk: Estimate) -> CoveragePoint:
    value = risk.value or 0.0
    low = value if risk.low is None else risk.low
    high = value if risk.high is None else risk.high
    return CoveragePoint(coverage, value, low, high)


def _share(values: np.ndarray, weights: np.ndarray) -> Estimate:
    """Return the mean of 0 and 1 with its interval; None where there is nothing to take it of."""
    if not len(values):
        return Estimate(None, None, None)
    totals = weights.sum(axis=1)
    drawn = np.divide(weights @ values, totals, out=np.full(len(totals), np.nan), where=totals > 0)
    return estimate_rate(float(values.mean()), drawn, len(values))


def _abstained(name: str, title: str, table: pd.DataFrame, resamples: int, seed: int) -> Abstained:
    error = table["error"].to_numpy(dtype=float)
    judged = table["judged"].to_numpy(dtype=bool)
    drawn = resample(list(table["source"]), resamples, seed)
    states = {
        str(state): float((table["state"] == state).mean())
        for state in sorted(set(table["state"]) - {""})
    }
    states["inconclusive"] = float(((table["state"] == "") & ~table["judged"]).mean())
    return Abstained(
        name=name,
        title=title,
        clips=len(table),
        coverage=_share(judged.astype(float), drawn.weights),
        error_all=_share(error, drawn.weights),
        error_judged=_share(error[judged], drawn.weights[:, judged]),
        error_abstained=_share(error[~judged], drawn.weights[:, ~judged]),
        states=states,
    )


def _lowers(part: Abstained) -> bool:
    before, after = part.error_all.value, part.error_judged.value
    return before is not None and after is not None and after < before


def _verdict(part: Abstained) -> str:
    """Say whether abstaining lowers the error of a variant, from its own numbers."""
    before, after = part.error_all.value, part.error_judged.value
    share = part.coverage.value or 0.0
    if before is None or after is None:
        return f"{part.title}: no clip is judged."
    words = "lowers" if _lowers(part) else "does not lower"
    return (
        f"{part.title}: judging {share:.0%} of the clips {words} the share of errors, from "
        f"{before:.1%} to {after:.1%}."
    )

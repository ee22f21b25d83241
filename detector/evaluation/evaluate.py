"""How right the detector is on labelled items: `evaluate` measures, from scores that are there.

Frame level counts each frame (its highest face); clip level counts each clip (its highest track,
frames aggregated). Intervals come from resampling source videos.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import cast

import numpy as np
import pandas as pd

from detector.analysis.aggregation import AGGREGATIONS
from detector.datasets.labelled import Labelled
from detector.errors import EvaluationError
from detector.evaluation import bootstrap, metrics
from detector.evaluation.bootstrap import Resamples, estimate, estimate_rate, resample
from detector.evaluation.metrics import Labels, Numbers
from detector.evaluation.result import (
    VERSION,
    AggregationScore,
    Bin,
    Curve,
    Distribution,
    Estimate,
    Evaluation,
    Group,
    Level,
    Metrics,
    Run,
    UsedData,
    run_of,
)
from detector.evaluation.scores import MEASURES, LabelledScores
from detector.models.ensemble import calibrated
from detector.models.scorer import Scorer
from detector.models.spec import Aggregation, EnsembleSpec
from detector.result import BandThresholds

FEW = 30  # items of a class below which a number is hardly worth reading


def evaluate(
    labelled: Labelled,
    scores: LabelledScores,
    scorer: Scorer,
    *,
    frames: int = 32,
    resamples: int = bootstrap.RESAMPLES,
    seed: int = bootstrap.SEED,
) -> Evaluation:
    """Return everything that `evaluation.json` holds.

    Args:
        labelled: what was scored.
        scores: what the networks say of it.
        scorer: with what; its ensemble gives temperatures, weights and bands.
        frames: frames that were looked at in each video.
        resamples, seed: of the bootstrap.

    Raises:
        EvaluationError: nothing was scored.
    """
    if scores.faces.empty:
        raise EvaluationError("Nothing was scored; name data with faces.")
    ensemble = scorer.ensemble
    logits = scores.logits(ensemble)
    aggregation = ensemble.aggregation
    per_frame = scores.per_frame(logits)
    per_clip = scores.per_clip(logits, aggregation)
    bands = ensemble.bands

    def measured(table: pd.DataFrame, level: Level) -> Metrics:
        return measure_table(table, level, bands, resamples, seed)

    each = calibrated(ensemble.networks, scores.faces[list(scores.networks)])
    networks = {}
    rocs = {"ensemble": per_clip}
    for network in ensemble.networks:
        own = each[network.name]
        networks[network.name] = measured(scores.per_frame(own), "frame")
        rocs[network.name] = scores.per_clip(own, aggregation)
    notes = list(labelled.notes) + list(_notes(scores, per_clip, per_frame))
    both = {name: table for name, table in rocs.items() if table["label"].nunique() == 2}
    return Evaluation(
        version=VERSION,
        run=describe_run(labelled, scores, scorer, frames, resamples, seed),
        frame=measured(per_frame, "frame"),
        clip=measured(per_clip, "clip"),
        networks=networks,
        by_set=tuple(
            Group(str(name), measured(part, "clip")) for name, part in per_clip.groupby("set")
        ),
        by_method=tuple(Group(name, measured(part, "clip")) for name, part in _methods(per_clip)),
        roc={name: _curve(metrics.roc_curve, table) for name, table in both.items()},
        precision_recall={
            name: _curve(metrics.precision_recall_curve, table) for name, table in both.items()
        },
        reliability=reliability_of(per_clip),
        aggregations=compare_aggregations(scores, ensemble, resamples, seed),
        reference=_reference(scores, ensemble),
        notes=tuple(notes),
    )


def measure_table(
    table: pd.DataFrame,
    level: Level,
    bands: BandThresholds,
    resamples: int = bootstrap.RESAMPLES,
    seed: int = bootstrap.SEED,
) -> Metrics:
    """Return metrics with intervals of a table with the columns label, logit and source."""
    labels = table["label"].to_numpy(dtype=np.int64)
    logits = table["logit"].to_numpy(dtype=np.float64)
    drawn = resample(list(table["source"]), resamples, seed)

    def of(metric: Callable[[Labels, Numbers, Numbers], Numbers]) -> Estimate:
        return estimate_metric(metric, labels, logits, drawn)

    def rates(label: int) -> dict[str, Estimate]:
        count = int((labels == label).sum())
        found: dict[str, Estimate] = {}
        for name, threshold in bands.starts.items():
            value, resampled = (
                metrics.rate_at(labels, logits, weights, threshold, label)
                for weights in (drawn.whole, drawn.weights)
            )
            found[name] = estimate_rate(float(value[0]), resampled, count)
        return found

    return Metrics(
        level=level,
        real=int((labels == 0).sum()),
        manipulated=int((labels == 1).sum()),
        sources=drawn.sources,
        auc=of(metrics.auc),
        average_precision=of(metrics.average_precision),
        log_loss=of(metrics.log_loss),
        f1=of(metrics.f1),
        accuracy=of(metrics.accuracy),
        eer=of(metrics.equal_error_rate),
        ece=of(metrics.calibration_error),
        false_positives=rates(0),
        detections=rates(1),
    )


def estimate_metric(
    metric: Callable[[Labels, Numbers, Numbers], Numbers],
    labels: Labels,
    logits: Numbers,
    drawn: Resamples,
) -> Estimate:
    """Return a metric on the data as it is, and its interval over the resamples."""
    if not len(labels):
        return Estimate(None, None, None)
    value = float(metric(labels, logits, drawn.whole)[0])
    return estimate(value, metric(labels, logits, drawn.weights))


def compare_aggregations(
    scores: LabelledScores,
    ensemble: EnsembleSpec,
    resamples: int = bootstrap.RESAMPLES,
    seed: int = bootstrap.SEED,
) -> tuple[AggregationScore, ...]:
    """Return clip AUC and log loss of each way to aggregate, on the same clips."""
    logits = scores.logits(ensemble)
    result = []
    for name in AGGREGATIONS:
        table = scores.per_clip(logits, name)
        labels, values = table["label"].to_numpy(), table["logit"].to_numpy()
        drawn = resample(list(table["source"]), resamples, seed)
        result.append(
            AggregationScore(
                name,
                estimate_metric(metrics.auc, labels, values, drawn),
                estimate_metric(metrics.log_loss, labels, values, drawn),
            )
        )
    return tuple(result)


def best_aggregation(compared: tuple[AggregationScore, ...]) -> Aggregation:
    """Return the one with the highest AUC; the first, the median, where none is better than it."""

    def rank(score: AggregationScore) -> float:
        return round(score.auc.value or 0.0, 6)

    return cast(Aggregation, max(compared, key=rank).name)


def reliability_of(per_clip: pd.DataFrame) -> tuple[Bin, ...]:
    """Return bins of a reliability plot of a table with label and logit."""
    bins = metrics.reliability(
        per_clip["label"].to_numpy(dtype=np.int64), per_clip["logit"].to_numpy(dtype=np.float64)
    )
    return tuple(Bin(part.score, part.manipulated, part.count) for part in bins)


def describe_run(
    labelled: Labelled,
    scores: LabelledScores,
    scorer: Scorer,
    frames: int,
    resamples: int,
    seed: int,
) -> Run:
    """Describe with what and on what, as every file states it."""
    kinds = tuple(sorted(set(scores.clips["kind"])))
    return run_of(
        scorer,
        frames=frames if "video" in kinds else 1,
        data=UsedData(
            name=labelled.name,
            split=labelled.split,
            fingerprint=labelled.fingerprint,
            items=len(labelled.rows),
            clips=len(scores.clips),
            real=int((scores.clips["label"] == 0).sum()),
            manipulated=int((scores.clips["label"] == 1).sum()),
            unreadable=scores.unreadable,
            faceless=scores.faceless,
            kinds=kinds,
        ),
        seed=seed,
        resamples=resamples,
    )


def judged_by(scorer: Scorer, ensemble: EnsembleSpec) -> Scorer:
    """Return the same networks under another ensemble's temperatures, weights and bands."""
    judged = copy.copy(scorer)
    judged.ensemble = ensemble
    return judged


def _notes(scores: LabelledScores, per_clip: pd.DataFrame, per_frame: pd.DataFrame) -> list[str]:
    notes = []
    if scores.unreadable:
        notes.append(f"{_items(scores.unreadable)} left out: not decodable.")
    if scores.faceless:
        notes.append(f"{_items(scores.faceless)} left out: no face was found.")
    if len(per_frame) == len(per_clip):
        notes.append(
            "Every clip has one frame, so frame level and clip level are the same, and ways to "
            "aggregate cannot be told apart."
        )
    for label, word in ((0, "unaltered"), (1, "manipulated")):
        count = int((per_clip["label"] == label).sum())
        if 0 < count < FEW:
            notes.append(
                f"Only {count} {word} clips: the intervals are wide, the numbers a hint at most."
            )
    single = [str(name) for name, part in per_clip.groupby("set") if part["label"].nunique() == 1]
    if single and per_clip["label"].nunique() == 2:
        notes.append(
            f"Of one class only: {', '.join(single)}; telling sets apart counts in the numbers "
            "over all sets."
        )
    return notes


def _items(count: int) -> str:
    return "1 item was" if count == 1 else f"{count} items were"


def _methods(per_clip: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return the manipulated clips of each method with the unaltered ones of the same sets."""
    result = []
    for name, part in per_clip[per_clip["label"] == 1].groupby("method"):
        reals = per_clip[(per_clip["label"] == 0) & per_clip["set"].isin(set(part["set"]))]
        result.append((str(name), pd.concat([part, reals])))
    return result


def _curve(
    of: Callable[[Labels, Numbers], tuple[Numbers, Numbers, Numbers]], table: pd.DataFrame
) -> Curve:
    x, y, thresholds = of(
        table["label"].to_numpy(dtype=np.int64), table["logit"].to_numpy(dtype=np.float64)
    )
    return Curve(
        tuple(float(v) for v in x),
        tuple(float(v) for v in y),
        tuple(float(v) if np.isfinite(v) else None for v in thresholds),
    )


def _reference(scores: LabelledScores, ensemble: EnsembleSpec) -> tuple[Distribution, ...]:
    columns = {
        "logit": scores.logits(ensemble),
        "disagreement": scores.disagreement(ensemble),
        **{name: scores.faces[name] for name in MEASURES},
    }
    return tuple(
        Distribution(
            name,
            len(values),
            tuple(float(v) for v in np.quantile(values, np.linspace(0, 1, 101))),
        )
        for name, values in columns.items()
    )

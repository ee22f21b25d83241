"""Calibrating the installed networks on labelled clips, and installing what comes out.

Temperatures and weights are fitted on data sets that have both classes only: a set of unaltered
faces alone would reward telling sets apart. The thresholds of the bands are fitted on the unaltered
clips of the same sets, those that the networks find hardest.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from detector.datasets.labelled import Labelled
from detector.errors import EvaluationError
from detector.evaluation import bootstrap, metrics
from detector.evaluation.evaluate import (
    best_aggregation,
    compare_aggregations,
    describe_run,
    judged_by,
    measure_table,
    reliability_of,
)
from detector.evaluation.fitting import (
    LEAST_WEIGHT,
    fit_bands,
    fit_ensemble,
    fit_temperature,
    fit_weights,
)
from detector.evaluation.result import VERSION, Calibration, FitQuality, ThresholdFit, write
from detector.evaluation.scores import LabelledScores
from detector.files import MODELS, atomic_write
from detector.models.scorer import Scorer
from detector.models.spec import Aggregation, EnsembleSpec

FILE = "calibration.json"


def calibrate(
    labelled: Labelled,
    scores: LabelledScores,
    scorer: Scorer,
    *,
    before: EnsembleSpec | None = None,
    held_out: LabelledScores | None = None,
    held_out_split: str = "test",
    frames: int = 32,
    resamples: int = bootstrap.RESAMPLES,
    seed: int = bootstrap.SEED,
) -> Calibration:
    """Return everything that `calibration.json` holds.

    Args:
        labelled: what is fitted on.
        scores: what the networks say of it.
        scorer: with what.
        before: what to compare with; default, the scorer's own ensemble.
        held_out: scores of other clips, to report on; None where there are none.
        held_out_split: what these are called.
        frames: frames that were looked at in each video.
        resamples, seed: of the bootstrap.

    Raises:
        EvaluationError: no data set has both classes.
    """
    kept = in_mixed_sets(scores)
    if kept is None:
        raise EvaluationError(
            "Calibrating needs unaltered and manipulated clips of one data set; this data has "
            "only one of them in each set."
        )
    before = before or scorer.ensemble
    notes = list(labelled.notes)
    left_out = len(scores.clips) - len(kept.clips)
    if left_out:
        notes.append(f"{left_out} clips of data sets with one class only were left out of the fit.")
    aggregation: Aggregation = "median"
    ensemble = _fitted(before, kept, aggregation)
    compared = compare_aggregations(kept, ensemble, resamples, seed)
    if len(kept.faces) > len(kept.clips):
        aggregation = best_aggregation(compared)
        ensemble = _fitted(before, kept, aggregation)
    else:
        notes.append(
            "Every clip has one frame, so ways to aggregate cannot be told apart, and the median "
            "stays; a clip of many frames varies less than the limits allow for."
        )
    ensemble = replace(ensemble, aggregation=aggregation)
    notes += _silenced(kept, ensemble, aggregation)
    table = kept.per_clip(kept.logits(ensemble), aggregation)
    bands, thresholds = fit_bands(
        table["label"].to_numpy(dtype=np.int64),
        table["logit"].to_numpy(dtype=np.float64),
        [str(source) for source in table["source"]],
        seed,
    )
    note = _note(labelled, thresholds)
    ensemble = replace(ensemble, bands=replace(bands, note=note))
    other = in_mixed_sets(held_out) if held_out else None
    return Calibration(
        version=VERSION,
        run=describe_run(labelled, scores, judged_by(scorer, ensemble), frames, resamples, seed),
        limits=thresholds,
        aggregation=aggregation,
        aggregations=compared,
        fitted=_quality(labelled.split, kept, before, ensemble, resamples, seed),
        reported=_quality(held_out_split, other, before, ensemble, resamples, seed)
        if other
        else None,
        note=note,
        notes=tuple(notes),
    )


def install(calibration: Calibration, models: Path = MODELS) -> Path:
    """Put a calibration beside the weights, and make `ensemble.json` name it; returns the file.

    Raises:
        EvaluationError: it was fitted on other weights, or cannot be written.
    """
    path = models / "ensemble.json"
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        installed = {name: network["sha256"] for name, network in entry["networks"].items()}
        if {model.name: model.sha256 for model in calibration.run.models} != installed:
            raise EvaluationError(
                "The calibration was fitted on other weights than those installed; calibrate again."
            )
        write(calibration, models / FILE)
        entry["calibration"] = FILE
        with atomic_write(path) as draft:
            draft.write_text(json.dumps(entry, indent=1) + "\n", encoding="utf-8")
    except (OSError, ValueError, KeyError) as error:
        raise EvaluationError(
            f"{path} cannot be changed ({error}); restore assets/models from the repository."
        ) from error
    return models / FILE


def in_mixed_sets(scores: LabelledScores) -> LabelledScores | None:
    """Return the clips of data sets that have both classes; None where no set has."""
    clips = scores.clips
    mixed = clips.groupby("set")["label"].transform("nunique") > 1
    if not mixed.any():
        return None
    kept = clips[mixed]
    return replace(scores, clips=kept, faces=scores.faces[scores.faces["clip"].isin(kept.index)])


def _fitted(
    ensemble: EnsembleSpec, scores: LabelledScores, aggregation: Aggregation
) -> EnsembleSpec:
    tables = _per_network(scores, aggregation)
    labels = next(iter(tables.values()))["label"].to_numpy(dtype=np.int64)
    logits = {name: table["logit"].to_numpy(dtype=np.float64) for name, table in tables.items()}
    return fit_ensemble(ensemble, labels, logits)


def _per_network(scores: LabelledScores, aggregation: Aggregation) -> dict[str, pd.DataFrame]:
    return {name: scores.per_clip(scores.faces[name], aggregation) for name in scores.networks}


def _silenced(
    scores: LabelledScores, ensemble: EnsembleSpec, aggregation: Aggregation
) -> list[str]:
    """Say so where a network would have no say at all."""
    tables = _per_network(scores, aggregation)
    labels = next(iter(tables.values()))["label"].to_numpy(dtype=np.int64)
    calibrated = {}
    for name, table in tables.items():
        logits = table["logit"].to_numpy(dtype=np.float64)
        calibrated[name] = logits / fit_temperature(labels, logits)
    free = fit_weights(labels, calibrated, least=0.0)
    one = np.ones((1, len(labels)))
    notes = []
    for name, weight in free.items():
        if weight < LEAST_WEIGHT:
            kept = fit_weights(labels, calibrated)
            losses = []
            for weights in (free, kept):
                mixed = sum(weights[each] * calibrated[each] for each in calibrated)
                logits = np.asarray(mixed, dtype=np.float64)
                logits = logits / fit_temperature(labels, logits)
                losses.append(float(metrics.log_loss(labels, logits, one)[0]))
            notes.append(
                f"By log loss alone {name} would weigh {weight:.1%}; {LEAST_WEIGHT:.0%} are kept, "
                f"so that two networks are heard (log loss {losses[1]:.4f} in place of "
                f"{losses[0]:.4f})."
            )
    return notes


def _quality(
    split: str,
    scores: LabelledScores,
    before: EnsembleSpec,
    after: EnsembleSpec,
    resamples: int,
    seed: int,
) -> FitQuality:
    results = []
    for ensemble in (before, after):
        table = scores.per_clip(scores.logits(ensemble), ensemble.aggregation)
        measured = measure_table(table, "clip", ensemble.bands, resamples, seed)
        results.append((measured, reliability_of(table)))
    (old, old_bins), (new, new_bins) = results
    return FitQuality(
        split=split,
        clips=len(scores.clips),
        log_loss_before=old.log_loss,
        log_loss_after=new.log_loss,
        ece_before=old.ece,
        ece_after=new.ece,
        false_positives_before=old.false_positives,
        false_positives_after=new.false_positives,
        reliability_before=old_bins,
        reliability_after=new_bins,
    )


def _note(labelled: Labelled, thresholds: Sequence[ThresholdFit]) -> str:
    some, strong = thresholds[1], thresholds[2]
    text = (
        f"Calibrated on {some.real} unaltered validation clips: at most {some.upper:.1%} of such "
        f"clips reach some evidence and {strong.upper:.1%} strong evidence, with 95 % certainty. "
        "Clips that were compressed again or enlarged reach some evidence more often."
    )
    few = [fit for fit in (some, strong) if not fit.reached]
    if few:
        text += f" {few[-1].sentence}"
    return text

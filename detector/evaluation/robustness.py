"""The same clips after what happens to clips on their way: error rates for each alteration."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from detector.datasets.labelled import Labelled
from detector.evaluation import bootstrap
from detector.evaluation.alterations import ALTERATIONS, Alteration
from detector.evaluation.evaluate import describe_run, measure_table
from detector.evaluation.result import VERSION, Robustness, Variant
from detector.evaluation.scores import LabelledScores
from detector.models.scorer import Scorer

NOTES = (
    "The encoders are FFmpeg's; a few files in a hundred differ in some bits from run to run, so "
    "the last digits may move.",
    "Face crops and pictures were encoded as short still clips: a moving clip loses more.",
)


def score_alterations(
    score: Callable[[Alteration], LabelledScores],
    alterations: tuple[Alteration, ...] = ALTERATIONS,
) -> dict[str, LabelledScores]:
    """Score after each alteration, by its name; `score` does one of them."""
    return {alteration.name: score(alteration) for alteration in alterations}


def robustness(
    labelled: Labelled,
    scores: Mapping[str, LabelledScores],
    scorer: Scorer,
    *,
    frames: int = 32,
    resamples: int = bootstrap.RESAMPLES,
    seed: int = bootstrap.SEED,
) -> Robustness:
    """Return everything that `robustness.json` holds.

    Args:
        labelled: the clips.
        scores: after each alteration, by name; "original" among them.
        scorer: with what they were scored.
        frames: frames that were looked at in each video.
        resamples, seed: of the bootstrap.
    """
    ensemble = scorer.ensemble
    known = {alteration.name: alteration for alteration in ALTERATIONS}
    variants = []
    for name, found in scores.items():
        clips = found.per_clip(found.logits(ensemble), ensemble.aggregation)
        variants.append(
            Variant(
                name=name,
                title=known[name].title,
                about=known[name].about,
                metrics=measure_table(clips, "clip", ensemble.bands, resamples, seed),
                abstained=float(found.states()["state"].ne("").mean()),
                failed=found.failed + found.unreadable + found.faceless,
            )
        )
    first = next(iter(scores.values()))
    return Robustness(
        version=VERSION,
        run=describe_run(labelled, first, scorer, frames, resamples, seed),
        variants=tuple(variants),
        notes=(*labelled.notes, *NOTES),
    )

"""What the evaluating commands write: four versioned JSON files that the model card is made of.

- `evaluation.json` (`Evaluation`): error rates on labelled items, by `evaluate`.
- `robustness.json` (`Robustness`): the same after re-encoding, by `evaluate --robustness`.
- `abstention.json` (`Abstention`): what is not judged, and what that does to the errors, by
  `evaluate --abstention`.
- `calibration.json` (`Calibration`, beside the weights): temperatures, weights and bands, by
  `calibrate`.

Every number says its level: "frame" (each face counts) or "clip" (a clip's faces are aggregated
first). No file names an item, a person or a path: only data sets, counts and hashes. A change
that old readers would misread raises the first number of a version.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from detector.errors import EvaluationError
from detector.files import ASSETS, atomic_write
from detector.models.scorer import Scorer
from detector.models.spec import NetworkSpec
from detector.typed_json import adapter
from detector.version import __version__

MODEL_CARD = ASSETS / "model_card"
VERSION = "1.0"

Level = Literal["frame", "clip"]
Value = TypeVar("Value")


@dataclass(frozen=True)
class Estimate:
    """A number and the 95 % interval it lies in.

    Attributes:
        value: None where the data cannot say, such as an AUC of one class.
        low, high: percentile bootstrap over source videos; None where `value` is.
    """

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Metrics:
    """How right the scores of some items are.

    Attributes:
        level: "frame" or "clip".
        real, manipulated: how many of each.
        sources: source videos they come from; what the bootstrap resamples.
        auc: area under the ROC curve, [0, 1].
        average_precision: [0, 1], manipulated = positive.
        log_loss: nats.
        f1, accuracy: at logit 0, [0, 1].
        eer: equal error rate, [0, 1].
        ece: expected calibration error over 15 equally full bins, [0, 1].
        false_positives: share of the unaltered at or above a band's threshold, by band
            ("inconclusive", "some", "strong").
        detections: share of the manipulated at or above it.
    """

    level: Level
    real: int
    manipulated: int
    sources: int
    auc: Estimate
    average_precision: Estimate
    log_loss: Estimate
    f1: Estimate
    accuracy: Estimate
    eer: Estimate
    ece: Estimate
    false_positives: dict[str, Estimate]
    detections: dict[str, Estimate]


@dataclass(frozen=True)
class Group:
    """Metrics of a part of the data: `name` of a data set or a method of manipulation."""

    name: str
    metrics: Metrics


@dataclass(frozen=True)
class Curve:
    """A curve of at most 200 points, in the order they are drawn.

    Attributes:
        x, y: ROC: false-positive rate and true-positive rate; precision-recall: recall and
            precision.
        logits: the threshold at each point; None for an end that no logit reaches.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    logits: tuple[float | None, ...]


@dataclass(frozen=True)
class Bin:
    """A bin of a reliability plot: mean score, share that is manipulated, and how many."""

    score: float
    manipulated: float
    count: int


@dataclass(frozen=True)
class Distribution:
    """How a measure is spread over the frames: what later clips are compared with.

    Attributes:
        name: "logit" (of the ensemble), "size", "sharpness", "brightness" or "disagreement".
        count: faces.
        quantiles: 101 values, from the smallest (0 %) to the largest (100 %).
    """

    name: str
    count: int
    quantiles: tuple[float, ...]


@dataclass(frozen=True)
class UsedModel:
    """A network that scored: version and SHA-256 of its weights, share and temperature."""

    name: str
    version: str
    sha256: str
    weight: float
    temperature: float

    @classmethod
    def of(cls, network: NetworkSpec) -> UsedModel:
        """Tell of an installed network what identifies it and its place in the ensemble."""
        return cls(
            network.name, network.version, network.sha256, network.weight, network.temperature
        )


@dataclass(frozen=True)
class UsedData:
    """The labelled data.

    Attributes:
        name: what the person calls it, never a path.
        split: "train", "val", "test" or "all".
        fingerprint: SHA-256 over labels and contents of the files, first 16 hex digits.
        items: files.
        clips: what they were grouped to.
        real, manipulated: clips of each class.
        unreadable, faceless: files that could not be decoded, or show no face.
        kinds: "crop" (faces cut before), "image" or "video".
    """

    name: str
    split: str
    fingerprint: str
    items: int
    clips: int
    real: int
    manipulated: int
    unreadable: int
    faceless: int
    kinds: tuple[str, ...]


@dataclass(frozen=True)
class UsedBands:
    """`BandThresholds` without its note, as the published file has it."""

    inconclusive: float
    some: float
    strong: float
    calibrated: bool


@dataclass(frozen=True)
class Run:
    """With what, and on what.

    Attributes:
        software: Veriframe's version.
        ensemble: version of the ensemble.
        models: the networks.
        backend, precision: for example "openvino", "f32".
        bands: the thresholds that the rates are at.
        aggregation: how a clip's frames become one logit.
        frames: frames looked at in each video; 1 for crops and images.
        data: the labelled data.
        seed, resamples: of the bootstrap.
    """

    software: str
    ensemble: str
    models: tuple[UsedModel, ...]
    backend: str
    precision: str
    bands: UsedBands
    aggregation: str
    frames: int
    data: UsedData
    seed: int
    resamples: int


@dataclass(frozen=True)
class AggregationScore:
    """A way to turn frame logits into a clip logit, and its clip AUC and log loss."""

    name: str
    auc: Estimate
    log_loss: Estimate


@dataclass(frozen=True)
class Evaluation:
    """`evaluation.json`.

    Attributes:
        version: of this format.
        run: with what, on what.
        frame, clip: the ensemble at both levels.
        networks: each network alone, by name, calibrated by its temperature, frame level.
        by_set: the ensemble for each data set, clip level.
        by_method: the ensemble for each method of manipulation, against the unaltered clips of
            the data sets in which it occurs, clip level.
        roc, precision_recall: by "ensemble" and each network's name, clip level.
        reliability: of the ensemble's score, clip level.
        aggregations: compared on the same clips, clip level; more than one frame in some clips
            is needed to tell them apart (see `notes`).
        reference: how scores and inputs are spread, frame level; what drift is measured from.
        notes: what a reader must know, one sentence each.
    """

    version: str
    run: Run
    frame: Metrics
    clip: Metrics
    networks: dict[str, Metrics]
    by_set: tuple[Group, ...]
    by_method: tuple[Group, ...]
    roc: dict[str, Curve]
    precision_recall: dict[str, Curve]
    reliability: tuple[Bin, ...]
    aggregations: tuple[AggregationScore, ...]
    reference: tuple[Distribution, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Variant:
    """The same clips after one alteration.

    Attributes:
        name: "original", "h264-crf23", "h264-crf35", "h264-crf40", "h265", "360p",
            "messenger", "screen-recording", "brighter", "darker", "noise", "crop".
        title: for a table.
        about: what was done, one sentence.
        metrics: clip level, of all clips that were altered, abstained or not.
        abstained: share of the clips for which a state forbids a band.
        failed: clips that could not be altered or scored.
    """

    name: str
    title: str
    about: str
    metrics: Metrics
    abstained: float
    failed: int


@dataclass(frozen=True)
class Robustness:
    """`robustness.json`: `variants`, the unaltered one first."""

    version: str
    run: Run
    variants: tuple[Variant, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ThresholdFit:
    """A band's threshold, as it was fitted on unaltered clips.

    Attributes:
        band: "inconclusive", "some" or "strong".
        rate: the real-side false-positive rate it is meant to keep, [0, 1].
        logit: the threshold.
        low, high: 95 % bootstrap interval of the logit that has this rate.
        real: unaltered clips it was fitted on.
        above: of these, at or above the threshold.
        upper: one-sided 95 % Clopper-Pearson bound of the rate above the threshold.
        needed: unaltered clips from which such a bound can be kept at all.
        reached: `upper` <= `rate`.
        sentence: for the page.
    """

    band: str
    rate: float
    logit: float
    low: float
    high: float
    real: int
    above: int
    upper: float
    needed: int
    reached: bool
    sentence: str


@dataclass(frozen=True)
class FitQuality:
    """Log loss and ECE of the ensemble's score before and after, on one split, clip level."""

    split: str
    clips: int
    log_loss_before: Estimate
    log_loss_after: Estimate
    ece_before: Estimate
    ece_after: Estimate
    false_positives_before: dict[str, Estimate]
    false_positives_after: dict[str, Estimate]
    reliability_before: tuple[Bin, ...]
    reliability_after: tuple[Bin, ...]


@dataclass(frozen=True)
class Calibration:
    """`assets/models/calibration.json`; `detector.models.spec.read_ensemble` takes its numbers.

    Attributes:
        version: of this format.
        run: with what and on what it was fitted; its models carry the new weights and
            temperatures, its bands the new thresholds.
        limits: the bands' thresholds; the file's name for them.
        aggregation: "mean", "median", "trimmed-mean" or "top-k".
        aggregations: what it was chosen from.
        fitted, reported: quality on the split it was fitted on, and on the held-out one.
        note: one or two sentences for the page.
        notes: what else a reader must know.
    """

    version: str
    run: Run
    limits: tuple[ThresholdFit, ...]
    aggregation: str
    aggregations: tuple[AggregationScore, ...]
    fitted: FitQuality
    reported: FitQuality | None
    note: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class QualityRule:
    """When a face or clip is not judged.

    Attributes:
        name: "size", "sharpness", "brightness", "compression", "disagreement" or "spread".
        measure: what is measured, with its unit.
        below, above: not judged below or above these; None where there is no such threshold.
        state: the state that says so in a finding; "" where it only gives a reason.
        sentence: for a reader.
    """

    name: str
    measure: str
    below: float | None
    above: float | None
    state: str
    sentence: str


@dataclass(frozen=True)
class CoveragePoint:
    """Share of the clips judged, and the error among them (share on the wrong side)."""

    coverage: float
    risk: float
    low: float
    high: float


@dataclass(frozen=True)
class Abstained:
    """What abstaining does on one variant, clip level.

    Attributes:
        name, title: of the variant; "all" for all of them together.
        clips: how many.
        coverage: share that is judged: no state, not inconclusive.
        error_all: share on the wrong side of the threshold *some* where everything is judged.
        error_judged: the same among the judged; None where none is.
        error_abstained: the same among the others.
        states: share of the clips with each state, and "inconclusive".
    """

    name: str
    title: str
    clips: int
    coverage: Estimate
    error_all: Estimate
    error_judged: Estimate
    error_abstained: Estimate
    states: dict[str, float]


@dataclass(frozen=True)
class Abstention:
    """`abstention.json`.

    Attributes:
        rules: when a clip is not judged; chosen on the validation split.
        curves: risk against coverage on the test split and its variants: "confidence" leaves
            out the clips nearest to the threshold first, "quality" those of the lowest quality,
            "random" is the risk without any order.
        variants: what the rules do, variant by variant, and together.
    """

    version: str
    run: Run
    rules: tuple[QualityRule, ...]
    curves: dict[str, tuple[CoveragePoint, ...]]
    variants: tuple[Abstained, ...]
    notes: tuple[str, ...]


def to_json(value: Any) -> str:
    """Write one of the four as JSON text, rounded to six digits: the same run, the same bytes."""
    raw = json.loads(adapter(type(value), finite=True).dump_json(value))
    return json.dumps(_rounded(raw), indent=1, ensure_ascii=False) + "\n"


def write(value: Any, path: Path) -> None:
    """Write one of the four, whole or not at all; raises EvaluationError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as draft:
            draft.write_text(to_json(value), encoding="utf-8")
    except OSError as error:
        raise EvaluationError(
            f"{path} cannot be written ({error.strerror}); name another file with --out."
        ) from error


def read(kind: type[Value], path: Path) -> Value:
    """Read the `Evaluation`, `Robustness`, `Calibration` or `Abstention` that `write` wrote.

    Raises:
        EvaluationError: the file is missing, damaged, or of a newer version.
    """
    name = kind.__name__.lower()
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        version = str(raw["version"])
        newer = int(version.split(".", maxsplit=1)[0]) > int(VERSION.split(".", maxsplit=1)[0])
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise EvaluationError(
            f"{path.name} is missing or is no {name} that Veriframe wrote; run `python -m detector "
            f"{'calibrate' if name == 'calibration' else 'evaluate'}` to write it."
        ) from error
    if newer:
        raise EvaluationError(
            f"{path.name} has version {version}, newer than {VERSION}; update Veriframe to read it."
        )
    try:
        return adapter(kind, finite=True).validate_python(raw)
    except ValueError as error:
        raise EvaluationError(
            f"{path.name} is damaged; write it again with `python -m detector "
            f"{'calibrate' if name == 'calibration' else 'evaluate'}`."
        ) from error


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list) else value


def run_of(scorer: Scorer, *, frames: int, data: UsedData, seed: int, resamples: int) -> Run:
    """Describe a run with this scorer."""
    ensemble, bands = scorer.ensemble, scorer.ensemble.bands
    return Run(
        software=__version__,
        ensemble=ensemble.version,
        models=tuple(UsedModel.of(network) for network in ensemble.networks),
        backend=scorer.backend,
        precision=scorer.precision,
        bands=UsedBands(bands.inconclusive, bands.some, bands.strong, bands.calibrated),
        aggregation=ensemble.aggregation,
        frames=frames,
        data=data,
        seed=seed,
        resamples=resamples,
    )

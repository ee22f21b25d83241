"""Do recent clips still look like those that the error rates were measured on?

Scores and inputs of the library's recent faces are compared with the reference in the model
card, measure by measure: the population stability index (PSI) over the reference's deciles, and
the Kolmogorov-Smirnov statistic (KS). Faces of one clip are alike, so that for what is chance the
number of clips counts, not that of faces.

PSI below 0.1 is read as stable, from 0.25 as a large shift (Siddiqi, Credit Risk Scorecards,
2006); that it is more than chance, by Yurdakul (Statistical Properties of the PSI, 2018).
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from detector.evaluation.estimates import interval, number, percent
from detector.evaluation.result import Distribution, Estimate, Evaluation, Metrics, Run
from detector.library.store import Library
from detector.models.ensemble import calibrated, weighted_mean

Numbers = NDArray[np.float64]
Level = Literal["unknown", "stable", "moderate", "large"]

MODERATE, LARGE = 0.1, 0.25
MIN_CLIPS = 20
LEAST_BINS = 3  # of the reference's deciles that differ
MOST_FACES = 100_000  # the newest; more would say the same, later
SURE = 0.95

MEASURES = {
    "logit": ("Score", "logit of the ensemble"),
    "disagreement": ("Disagreement", "between the networks, in logits"),
    "size": ("Face size", "pixels"),
    "sharpness": ("Sharpness", "variance of the Laplacian"),
    "brightness": ("Brightness", "0 to 255"),
}


@dataclass(frozen=True)
class Recent:
    """What is compared: faces of the library, those scored with the reference's networks.

    Attributes:
        values: float64 [n] for each of `MEASURES`.
        clips: analyses they are from.
        other: analyses left out because they are of other models.
        first, last: when the analyses were made; None without any.
    """

    values: Mapping[str, Numbers]
    clips: int
    other: int
    first: datetime.datetime | None
    last: datetime.datetime | None


@dataclass(frozen=True)
class Shift:
    """How one measure differs from the reference.

    Attributes:
        name: one of `MEASURES`.
        faces, clips: how many recent ones.
        psi: population stability index, from 0.
        chance: PSI that 5 in 100 samples of so many clips exceed without any shift.
        ks: Kolmogorov-Smirnov statistic, [0, 1].
        p: of `ks`, as if each clip counted once.
        level: "unknown" with fewer than `MIN_CLIPS` clips, or where the reference does not vary.
        reference, recent: medians.
        shares: of the recent faces in each bin of the reference's deciles.
        expected: of the reference's.
        edges: inner edges of those bins.
        sentence: for a reader.
    """

    name: str
    faces: int
    clips: int
    psi: float
    chance: float
    ks: float
    p: float
    level: Level
    reference: float
    recent: float
    shares: tuple[float, ...]
    expected: tuple[float, ...]
    edges: tuple[float, ...]
    sentence: str


@dataclass(frozen=True)
class Change:
    """A metric of a labelled folder, now against the last evaluation.

    Attributes:
        name: for a table.
        before, after: with their intervals.
        low, high: 95 % interval of after less before; None where one has none.
        worse: the whole interval is on the wrong side of 0.
        sentence: for a reader.
    """

    name: str
    before: Estimate
    after: Estimate
    low: float | None
    high: float | None
    worse: bool
    sentence: str


def recent_faces(
    library: Library, run: Run, since: datetime.datetime | None = None, most: int = MOST_FACES
) -> Recent:
    """Return faces of recent analyses, with logits under the reference's weights, temperatures.

    Args:
        library: the library.
        run: what the reference was measured with.
        since: analyses from then on; default, all.
        most: faces at most, the newest.
    """
    version = ", ".join(f"{model.name} {model.version}" for model in run.models)
    names = [model.name for model in run.models]
    found = library.measures(names, version, since, most)
    apart = np.stack(list(calibrated(run.models, found.logits).values()))
    values = {
        "logit": weighted_mean(run.models, found.logits),
        "disagreement": apart.max(axis=0) - apart.min(axis=0),
        "size": found.size,
        "sharpness": found.sharpness,
        "brightness": found.brightness,
    }
    return Recent(values, found.clips, found.other, found.first, found.last)


def shifts(reference: tuple[Distribution, ...], recent: Recent) -> tuple[Shift, ...]:
    """Compare each measure that both have, in the order of `MEASURES`; none without faces."""
    known = {one.name: one for one in reference}
    return tuple(
        shift(known[name], recent.values[name], recent.clips)
        for name in MEASURES
        if name in known and len(recent.values.get(name, ())) > 0
    )


def shift(reference: Distribution, values: Numbers, clips: int) -> Shift:
    """Compare one measure with its reference.

    Args:
        reference: with 101 quantiles.
        values: float64 [n], n > 0.
        clips: analyses that they are from.
    """
    edges, expected = deciles(reference)
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(expected))
    index = psi(counts, expected)
    chance = psi_of_chance(len(expected), clips, reference.count)
    statistic, p = ks(reference, values, clips)
    varies = len(expected) >= LEAST_BINS
    level = _level(index, chance, clips) if varies else "unknown"
    middle = float(reference.quantiles[50]), float(np.median(values))
    return Shift(
        name=reference.name,
        faces=len(values),
        clips=clips,
        psi=index,
        chance=chance,
        ks=statistic,
        p=p,
        level=level,
        reference=middle[0],
        recent=middle[1],
        shares=tuple(float(share) for share in counts / len(values)),
        expected=tuple(float(share) for share in expected),
        edges=tuple(float(edge) for edge in edges),
        sentence=_sentence(reference.name, level, index, middle, clips, varies),
    )


def deciles(reference: Distribution) -> tuple[Numbers, Numbers]:
    """Return inner edges of bins that hold a tenth of the reference each, and each one's share.

    Deciles that fall on one value make one bin, which then holds several tenths.
    """
    quantiles = np.asarray(reference.quantiles, dtype=np.float64)
    edges = np.unique(quantiles[10:100:10])
    below = np.searchsorted(quantiles, edges, side="left") / (len(quantiles) - 1)
    edges, below = edges[below > 0], below[below > 0]
    return edges, np.diff(np.concatenate([[0.0], below, [1.0]]))


def psi(counts: NDArray[np.int64], expected: Numbers) -> float:
    """Return the population stability index of counts [bins] against expected shares [bins].

    Half a face is added to each bin, so that an empty one does not make it infinite.
    """
    shares = (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
    return float(((shares - expected) * np.log(shares / expected)).sum())


def psi_of_chance(bins: int, count: int, reference: int) -> float:
    """Return the PSI that samples of such sizes exceed 5 times in 100 by chance (Yurdakul 2018)."""
    from scipy.stats import chi2

    scale = 1 / max(count, 1) + 1 / max(reference, 1)
    return float(chi2.ppf(SURE, max(bins - 1, 1)) * scale)


def ks(reference: Distribution, values: Numbers, clips: int) -> tuple[float, float]:
    """Return the Kolmogorov-Smirnov statistic against the reference, and its p for `clips`."""
    from scipy.stats import kstwo

    quantiles = np.asarray(reference.quantiles)
    ordered = np.sort(values)
    points = np.unique(np.concatenate([ordered, quantiles]))
    # From the left and from the right at each point: both distributions may have steps.
    first = np.searchsorted(quantiles, points, side="left")
    last = np.searchsorted(quantiles, points, side="right") - 1
    between = np.interp(points, quantiles, np.linspace(0, 1, len(quantiles)))
    hit = last >= first
    statistic = 0.0
    sides: tuple[tuple[Literal["left", "right"], NDArray[np.intp]], ...]
    sides = (("left", first), ("right", last))
    for side, rank in sides:
        theirs = np.where(hit, rank / (len(quantiles) - 1), between)
        ours = np.searchsorted(ordered, points, side=side) / len(ordered)
        statistic = max(statistic, float(np.abs(ours - theirs).max()))
    return statistic, float(kstwo.sf(statistic, max(clips, 1)))


def compare(before: Evaluation, after: Evaluation) -> tuple[Change, ...]:
    """Compare AUC and false-positive rates, clip level: is it worse now, beyond the intervals?

    The interval of a difference is Zou and Donner's (Statistics in Medicine, 2008), from the two
    intervals as if the data were independent; on the same data it is too wide, never too narrow.
    """
    one, other = before.clip, after.clip
    rows = [_change("AUC", one.auc, other.auc, higher_is_better=True)]
    for band in ("some", "strong"):
        rows.append(
            _change(
                f"Unaltered clips at {band} evidence",
                _rate(one, band),
                _rate(other, band),
                higher_is_better=False,
            )
        )
    return tuple(rows)


def difference(before: Estimate, after: Estimate) -> tuple[float, float] | None:
    """Return the 95 % interval of after less before; None where one of them is unknown."""
    parts = (before.value, before.low, before.high, after.value, after.low, after.high)
    if None in parts:
        return None
    b, b_low, b_high, a, a_low, a_high = (float(part) for part in parts if part is not None)
    middle = a - b
    return (
        middle - float(np.hypot(a - a_low, b_high - b)),
        middle + float(np.hypot(a_high - a, b - b_low)),
    )


def _rate(metrics: Metrics, band: str) -> Estimate:
    return interval(metrics.false_positives[band], metrics.real)


def _change(name: str, before: Estimate, after: Estimate, *, higher_is_better: bool) -> Change:
    between = difference(before, after)
    show: Callable[[Estimate], str] = number if higher_is_better else percent
    words = f"{name}: {show(before)} in the last evaluation, {show(after)} now (clip level)"
    if between is None:
        return Change(name, before, after, None, None, False, f"{words}; not comparable.")
    low, high = between
    worse = high < 0 if higher_is_better else low > 0
    better = low > 0 if higher_is_better else high < 0
    verdict = "no difference that chance does not explain"
    if worse or better:
        verdict = f"{'worse' if worse else 'better'} than chance explains"
    sentence = f"{words}; difference {low:+.3f} to {high:+.3f}: {verdict}."
    return Change(name, before, after, low, high, worse, sentence)


def _level(index: float, chance: float, clips: int) -> Level:
    if clips < MIN_CLIPS:
        return "unknown"
    if index < MODERATE or index < chance:
        return "stable"
    return "large" if index >= LARGE else "moderate"


def _sentence(
    name: str, level: Level, index: float, middle: tuple[float, float], clips: int, varies: bool
) -> str:
    title, unit = MEASURES[name]
    medians = f"median {middle[1]:.4g}, in the reference {middle[0]:.4g}, {unit}"
    if not varies:
        return (
            f"{title}: cannot be compared, since it hardly varies in the reference, as in face "
            f"crops of one size ({medians})."
        )
    if level == "unknown":
        return (
            f"{title}: {clips} clips are too few to tell a shift from chance; {MIN_CLIPS} are "
            f"needed ({medians})."
        )
    if level == "stable" and index >= MODERATE:
        return (
            f"{title}: no shift that chance does not explain in {clips} clips (PSI {index:.2f}, "
            f"{medians})."
        )
    if level == "stable":
        return f"{title}: as in the reference (PSI {index:.2f}, {medians})."
    more = {
        "logit": "the share of manipulated clips, or what the networks see in them, has changed",
        "disagreement": "the networks agree more, or less, than they did when they were measured",
    }.get(name, "the faces differ from those that the error rates were measured on")
    return f"{title}: a {level} shift (PSI {index:.2f}, {medians}); {more}."

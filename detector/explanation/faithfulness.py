"""Is a map faithful: does the network really use the pixels that the map marks?

Deletion (Petsiuk et al. 2018, RISE): the crop is cut into squares, and the squares are blurred
away in the order of the map. Where the logit is above 0, what speaks for manipulation goes first,
and the lower the logit stays on the way, the better the map has found it. Where it is below 0,
what speaks against manipulation goes first, and the logit should rise. A curve says nothing by
itself, since blurring a part of a face is itself an edit that the networks notice; so it is held
against the same squares in random orders.

Infidelity (Yeh et al. 2019) asks of maps whose values are parts of the logit whether their sums
predict how the logit changes; it is Captum's.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.concurrency.task import CancelCallback, ProgressCallback
from detector.errors import ExplanationError
from detector.explanation.blur import blurred
from detector.explanation.methods.registry import METHODS
from detector.explanation.progress import ProgressForward, part_of
from detector.explanation.result import Explanation
from detector.media.clip import Image
from detector.models.networks.registry import ENSEMBLE, network_title

if TYPE_CHECKING:
    from torch import Tensor

    from detector.explanation.explainer import Explainer

SQUARE = 16  # side of the squares that are blurred away, pixels, about
SHARES = tuple(round(0.05 * step, 2) for step in range(21))
ORDERS = 5
PERTURBATIONS = 12
BATCH = 4
# For the map and for zeros, Captum asks for every perturbed crop, and for the crop with each batch.
INFIDELITY_PASSES = 2 * (PERTURBATIONS + PERTURBATIONS // BATCH)
CLEAR = 0.1  # differences of logits below this are not worth a claim


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """How a map fares when what it marks is taken away.

    Attributes:
        shares: float32 [21], share of the crop that is blurred: 0, 0.05, ... 1.
        logits: float32 [21], with the squares taken in the map's order.
        random_logits: float32 [orders, 21], with the squares in random orders.
        infidelity: Captum's, in squared units of the logit, with the map scaled to fit best; None
            for maps whose values are not parts of the logit.
        unexplained: `infidelity` / that of a map of zeros, about [0, 1]: the part of the logit's
            changes that sums over the map do not predict; None as before.
        speaks_for: True where the squares that speak for manipulation went first (the logit is
            not below 0), False where those that speak against it did.
        sentence: what the result says, for people.
    """

    shares: NDArray[np.float32]
    logits: NDArray[np.float32]
    random_logits: NDArray[np.float32]
    infidelity: float | None
    unexplained: float | None
    speaks_for: bool
    sentence: str

    @property
    def area(self) -> float:
        """Area under the map's curve: the mean logit on the way.

        Lower is more faithful where `speaks_for`, else higher.
        """
        return _area(self.logits)

    @property
    def random_mean(self) -> NDArray[np.float32]:
        """The mean random curve, float32 [21]."""
        return np.asarray(self.random_logits.mean(axis=0), dtype=np.float32)

    @property
    def random_areas(self) -> NDArray[np.float32]:
        """Area under each random curve, float32 [orders]."""
        return np.array([_area(curve) for curve in self.random_logits], dtype=np.float32)

    @property
    def random_area(self) -> float:
        """Mean area under the random curves."""
        return float(self.random_areas.mean())

    def describe(self) -> dict[str, object]:
        """Return all of it, ready for JSON."""
        return {
            "shares": [round(float(share), 2) for share in self.shares],
            "logits": self.logits.tolist(),
            "random_mean": self.random_mean.tolist(),
            "area": self.area,
            "random_area": self.random_area,
            "random_areas": self.random_areas.tolist(),
            "infidelity": self.infidelity,
            "unexplained": self.unexplained,
            "marked": "for" if self.speaks_for else "against",
            "sentence": self.sentence,
        }


def faithfulness(
    explainer: Explainer,
    crop: Image,
    explanation: Explanation,
    *,
    orders: int = ORDERS,
    seed: int = 0,
    progress: ProgressCallback | None = None,
    cancelled: CancelCallback | None = None,
) -> Faithfulness:
    """Test `explanation` by deletion, against random orders, and by infidelity.

    The random curves belong to the crop and the network, not to the map: they are made once and
    kept for the next method.

    Args:
        explainer: that made the explanation.
        crop: RGB uint8 [s, s, 3] that was explained.
        explanation: of that crop.
        orders: random orders, at least 1.
        seed: of the random orders and perturbations; the same seed gives the same result.
        progress: told the share that is done, (0, 1].
        cancelled: asked between passes; True stops.

    Raises:
        ExplanationError: the map is not of this crop's size, or `orders` is below 1.
        Cancelled: `cancelled` returned True.
    """
    if explanation.map.shape != crop.shape[:2]:
        raise ExplanationError("This map belongs to another crop; explain the face again.")
    if orders < 1:
        raise ExplanationError("A deletion curve needs at least 1 random order beside it.")
    additive = METHODS[explanation.method].additive
    ends = len(SHARES)
    inner = ends - 2  # nothing and everything blurred are the same in any order
    total = passes(explanation.method, orders)
    done = 0

    def part(size: int) -> ProgressCallback | None:
        return part_of(progress, done / total, (done + size) / total)

    speaks_for = explanation.logit >= 0
    marked = explanation.map if speaks_for else -explanation.map
    rank = np.argsort(-_by_square(marked).ravel(), kind="stable")
    logits = explainer.logits(
        _deleted(crop, rank), explanation.network, progress=part(ends), cancelled=cancelled
    )
    done += ends

    def random_curves() -> NDArray[np.float32]:
        ranks = [_random_rank(crop, seed, number) for number in range(orders)]
        pictures = np.concatenate([_deleted(crop, rank)[1:-1] for rank in ranks])
        found = explainer.logits(
            pictures, explanation.network, progress=part(inner * orders), cancelled=cancelled
        )
        first, last = np.full((orders, 1), logits[0]), np.full((orders, 1), logits[-1])
        return np.hstack([first, found.reshape(orders, inner), last])

    key = ("random curves", _digest(crop), explanation.network, orders, seed)
    random_logits = explainer.keep(key, random_curves)
    done += inner * orders
    infidelity = unexplained = None
    if additive:
        infidelity, nothing = _infidelity(
            explainer, crop, explanation, seed, part(total - done), cancelled
        )
        unexplained = infidelity / nothing if nothing > 0 else None
    if progress:
        progress(1.0)
    return Faithfulness(
        np.array(SHARES, dtype=np.float32),
        logits,
        random_logits,
        infidelity,
        unexplained,
        speaks_for,
        _sentence(explanation, logits, random_logits),
    )


def passes(method: str, orders: int = ORDERS) -> int:
    """Return what `faithfulness` costs, in forward passes of one crop, before any was kept.

    Args:
        method: a name in `detector.explanation.methods.registry.METHODS`.
        orders: random orders.
    """
    curves = len(SHARES) + (len(SHARES) - 2) * orders
    return curves + (INFIDELITY_PASSES if METHODS[method].additive else 0)


def _sentence(
    explanation: Explanation, logits: NDArray[np.float32], random_logits: NDArray[np.float32]
) -> str:
    """Say what a deletion curve among random ones means."""
    network = (
        "the ensemble" if explanation.network == ENSEMBLE else network_title(explanation.network)
    )
    if not explanation.map.any():
        return "This map marks nothing on this face, so that there is nothing to test."
    if np.ptp(np.vstack([logits, random_logits])) < CLEAR:
        return (
            f"{network[0].upper()}{network[1:]}'s logit hardly moves whatever is blurred, so "
            "that blurring cannot tell whether this map is right."
        )
    speaks_for = explanation.logit >= 0
    side, better, worse = ("for", "low", "high") if speaks_for else ("against", "high", "low")
    area = _area(logits)
    areas = np.array([_area(curve) for curve in random_logits])
    fact = (
        f"Blurring first what this map marks as speaking {side} manipulation leaves a mean logit "
        f"of {area:+.2f}, blurring squares at random one of {areas.mean():+.2f}"
    )
    if abs(areas.mean() - area) < CLEAR:
        return f"{fact}: hardly a difference, so that this map tells little about {network}."
    if areas.min() <= area <= areas.max():
        return (
            f"{fact}, and some random orders do better: on this face, the map tells little about "
            f"what {network} uses."
        )
    if (area < areas.min()) == speaks_for:
        return f"{fact}, never as {better}: the map does point at what {network} uses."
    return (
        f"{fact}, never as {worse}: do not read this map as the place of {network}'s evidence "
        f"{side} manipulation."
    )


def _infidelity(
    explainer: Explainer,
    crop: Image,
    explanation: Explanation,
    seed: int,
    progress: ProgressCallback | None,
    cancelled: CancelCallback | None,
) -> tuple[float, float]:
    """Return Captum's infidelity of the map, and of a map of zeros on the same perturbations.

    A perturbation blurs a random tenth to half of the squares. Its mask takes the place of
    Captum's perturbation, because the map's values are whole parts of the logit already, for
    going from blurred to sharp, and not slopes.
    """
    import torch
    from captum.metrics import infidelity

    forward = ProgressForward(
        explainer.network(explanation.network), INFIDELITY_PASSES, progress, cancelled
    )
    pixels = torch.tensor(crop).permute(2, 0, 1)[None].float().to(explainer.device) / 255
    soft = blurred(pixels)
    values = torch.from_numpy(explanation.map / 3)[None, None].expand(1, 3, -1, -1)
    results = []
    for attributions, scaled in ((values, True), (torch.zeros_like(values), False)):
        random = np.random.default_rng((seed, 1))

        def perturb(inputs: Tensor, random: np.random.Generator = random) -> tuple[Tensor, Tensor]:
            masks = torch.from_numpy(_random_masks(random, len(inputs), crop.shape[0]))
            masks = masks[:, None].expand(-1, 3, -1, -1).to(inputs.device)
            return masks, inputs * (1 - masks) + soft * masks

        with torch.no_grad():
            found = infidelity(
                forward,
                perturb,
                pixels,
                attributions.to(pixels.device),
                n_perturb_samples=PERTURBATIONS,
                max_examples_per_batch=BATCH,
                normalize=scaled,
            )
        results.append(float(found[0]))
    return results[0], results[1]


def _squares(side: int) -> int:
    """Return how many squares lie along one side of a crop."""
    return max(round(side / SQUARE), 1)


def _by_square(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of a map [s, s] over each square: float32 [n, n]."""
    count = _squares(len(values))
    means = cv2.resize(values, (count, count), interpolation=cv2.INTER_AREA)
    return np.asarray(means, dtype=np.float32)


def _full_size(squares: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Return values of squares [n, n] for every pixel, [side, side], edges kept hard."""
    large = cv2.resize(squares, (side, side), interpolation=cv2.INTER_NEAREST)
    return np.asarray(large, dtype=np.float32)


def _deleted(crop: Image, rank: NDArray[np.int64]) -> Image:
    """Blur 0, 5, ... 100 % of the crop's squares, in the order of `rank`: uint8 [21, s, s, 3]."""
    import torch

    side = crop.shape[0]
    count = _squares(side)
    pixels = torch.tensor(crop).permute(2, 0, 1)[None].float() / 255
    soft = np.rint(blurred(pixels)[0].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    pictures = []
    for share in SHARES:
        gone = np.zeros(count * count, np.float32)
        gone[rank[: round(share * len(rank))]] = 1
        mask = _full_size(gone.reshape(count, count), side)[..., None] > 0
        pictures.append(np.where(mask, soft, crop))
    return np.stack(pictures)


def _random_rank(crop: Image, seed: int, number: int) -> NDArray[np.int64]:
    """Return the squares of a crop in the random order `number`."""
    count = _squares(crop.shape[0])
    return np.random.default_rng((seed, 0, number)).permutation(count * count)


def _random_masks(random: np.random.Generator, number: int, side: int) -> NDArray[np.float32]:
    """Return masks float32 [number, side, side] of 0 and 1, over a tenth to half of the squares."""
    count = _squares(side)
    shares = random.uniform(0.1, 0.5, size=(number, 1, 1))
    chosen = (random.random((number, count, count)) < shares).astype(np.float32)
    return np.stack([_full_size(squares, side) for squares in chosen])


def _area(curve: NDArray[np.float32]) -> float:
    """Return the area under a curve over `SHARES`."""
    return float(np.trapezoid(curve, SHARES))


def _digest(crop: Image) -> str:
    """Return the SHA-256 of a crop's pixels, hex."""
    return hashlib.sha256(np.ascontiguousarray(crop).tobytes()).hexdigest()

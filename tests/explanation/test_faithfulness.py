"""Deletion and infidelity, on a network whose evidence is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from detector.errors import Cancelled, ExplanationError
from detector.explanation.blur import blurred
from detector.explanation.explainer import Explainer
from detector.explanation.faithfulness import SHARES, Faithfulness, faithfulness, passes
from detector.explanation.methods.grad_cam import GradCam
from detector.explanation.methods.integrated_gradients import IntegratedGradients
from detector.explanation.progress import ProgressForward
from detector.explanation.result import Explanation
from tests.helpers.crops import as_tensor, blended

SIDE = 128


class KnownExplainer:
    """Looks only at the detail in the upper left quarter: the more of it, the higher the logit."""

    device = "cpu"

    def __init__(self) -> None:
        self.passed = 0
        self.kept: dict[object, Any] = {}

    def network(self, _name: str) -> Callable[[Tensor], Tensor]:
        def logit(crops: Tensor) -> Tensor:
            self.passed += len(crops)
            return 40 * crops[..., : SIDE // 2, : SIDE // 2].diff(dim=-1).abs().mean(dim=(1, 2, 3))

        return logit

    def logits(self, crops: np.ndarray, network: str, progress: Any, cancelled: Any) -> np.ndarray:
        watched = ProgressForward(self.network(network), len(crops), progress, cancelled)
        parts = [
            watched(torch.tensor(crops[i : i + 4]).permute(0, 3, 1, 2).float() / 255)
            for i in range(0, len(crops), 4)
        ]
        return torch.cat(parts).numpy()

    def keep(self, key: object, make: Callable[[], Any]) -> Any:
        if key not in self.kept:
            self.kept[key] = make()
        return self.kept[key]


@pytest.fixture
def crop() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8)


def map_of(kind: str) -> np.ndarray:
    values = np.random.default_rng(4).random((SIDE, SIDE)).astype(np.float32) * 0.01
    if kind == "right":
        values[: SIDE // 2, : SIDE // 2] += 1
    elif kind == "wrong":
        values[: SIDE // 2, : SIDE // 2] -= 1
    elif kind == "half right":  # a bar through the right quarter and another
        values[16:48, :] += 1
    return values


def explained(values: np.ndarray, method: str = GradCam.name) -> Explanation:
    return Explanation(method, "resnet50", (), values, 1.0, None, None)


def judged(crop: np.ndarray, kind: str, **settings: Any) -> Faithfulness:
    return faithfulness(KnownExplainer(), crop, explained(map_of(kind)), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "says"),
    [("right", "does point at what ResNet50 uses"), ("wrong", "do not read this map")],
)
def test_the_sentence_follows_the_curves(crop: np.ndarray, kind: str, says: str) -> None:
    found = judged(crop, kind)
    assert says in found.sentence
    assert found.sentence.count(". ") == 0
    assert (found.area < found.random_areas.min()) == (kind == "right")
    assert (found.area > found.random_areas.max()) == (kind == "wrong")


@pytest.mark.parametrize(
    ("kind", "says"),
    [("right", "do not read this map"), ("wrong", "does point at what ResNet50 uses")],
)
def test_below_0_what_speaks_against_goes_first(crop: np.ndarray, kind: str, says: str) -> None:
    """The logit of detail, turned round: blurring what counts makes it rise."""

    class Turned(KnownExplainer):
        def network(self, name: str) -> Callable[[Tensor], Tensor]:
            logit = super().network(name)
            return lambda crops: -logit(crops)

    explanation = replace(explained(map_of(kind)), logit=-1.0)
    found = faithfulness(Turned(), crop, explanation)  # type: ignore[arg-type]
    assert not found.speaks_for
    assert found.describe()["marked"] == "against"
    assert says in found.sentence
    assert "speaking against manipulation" in found.sentence
    assert (found.area > found.random_areas.max()) == (kind == "wrong")
    assert (found.area < found.random_areas.min()) == (kind == "right")


def test_an_empty_map_is_not_judged(crop: np.ndarray) -> None:
    empty = explained(np.zeros((SIDE, SIDE), np.float32))
    found = faithfulness(KnownExplainer(), crop, empty)  # type: ignore[arg-type]
    assert "nothing to test" in found.sentence


def test_a_random_map_earns_no_praise(crop: np.ndarray) -> None:
    sentences = [
        faithfulness(
            KnownExplainer(),
            crop,  # type: ignore[arg-type]
            explained(np.random.default_rng(n).random((SIDE, SIDE)).astype(np.float32)),
            orders=20,
        ).sentence
        for n in range(6)
    ]
    assert sum("tells little" in sentence for sentence in sentences) >= 4


def test_a_logit_that_hardly_moves_cannot_judge() -> None:
    flat = np.full((SIDE, SIDE, 3), 77, np.uint8)
    assert "cannot tell" in judged(flat, "right").sentence


def test_the_curve_blurs_the_highest_squares_first(crop: np.ndarray) -> None:
    """After a quarter of the squares, all that counts is gone; what follows changes nothing."""
    found = judged(crop, "right")
    assert found.shares.tolist() == pytest.approx(SHARES)
    assert len(found.logits) == 21
    assert found.logits[0] == pytest.approx(found.random_logits[:, 0])
    assert found.logits[-1] == pytest.approx(found.random_logits[:, -1])
    assert (np.diff(found.logits[:6]) < 0).all()
    np.testing.assert_allclose(found.logits[6:], found.logits[-1], rtol=0.05)
    network = KnownExplainer().network("")
    with torch.no_grad():
        ends = network(torch.cat([as_tensor(crop), blurred(as_tensor(crop))])).numpy()
    np.testing.assert_allclose(found.logits[[0, -1]], ends, rtol=0.02)


def test_areas_are_means_over_the_way(crop: np.ndarray) -> None:
    found = judged(crop, "right", orders=3)
    trapezoid = sum(
        (a + b) / 2 * 0.05 for a, b in zip(found.logits, found.logits[1:], strict=False)
    )
    assert found.area == pytest.approx(trapezoid, rel=1e-4)
    assert found.random_logits.shape == (3, 21)
    assert found.random_area == pytest.approx(float(found.random_areas.mean()))
    np.testing.assert_allclose(found.random_mean, found.random_logits.mean(axis=0))


def test_the_same_seed_gives_the_same_result(crop: np.ndarray) -> None:
    first, again, other = (judged(crop, "right", seed=seed) for seed in (7, 7, 8))
    np.testing.assert_array_equal(first.random_logits, again.random_logits)
    assert (first.random_logits != other.random_logits).any()


def test_random_curves_are_made_once_for_all_maps_of_a_crop(crop: np.ndarray) -> None:
    explainer = KnownExplainer()
    faithfulness(explainer, crop, explained(map_of("right")))  # type: ignore[arg-type]
    assert explainer.passed == passes(GradCam.name)
    faithfulness(explainer, crop, explained(map_of("wrong")))  # type: ignore[arg-type]
    assert explainer.passed == passes(GradCam.name) + len(SHARES)
    faithfulness(explainer, crop[::-1].copy(), explained(map_of("wrong")))  # type: ignore[arg-type]
    assert explainer.passed == 2 * passes(GradCam.name) + len(SHARES)


def test_infidelity_tells_a_right_map_from_a_wrong_one(crop: np.ndarray) -> None:
    results = {
        kind: faithfulness(
            KnownExplainer(),
            crop,  # type: ignore[arg-type]
            explained(map_of(kind), IntegratedGradients.name),
        )
        for kind in ("right", "half right", "wrong")
    }
    right, half = results["right"], results["half right"]
    assert right.unexplained is not None
    assert half.unexplained is not None
    assert right.infidelity is not None
    assert right.infidelity >= 0
    assert right.unexplained < 0.1
    assert half.unexplained > 2 * right.unexplained
    # Scaled to fit best, a map with its sign turned is as good a predictor as the right one.
    assert results["wrong"].unexplained == pytest.approx(right.unexplained, abs=0.05)


def test_infidelity_is_for_maps_in_units_of_the_logit(crop: np.ndarray) -> None:
    found = judged(crop, "right")
    assert found.infidelity is None
    assert found.unexplained is None
    assert found.describe()["infidelity"] is None


@pytest.mark.parametrize("method", [GradCam.name, IntegratedGradients.name])
def test_progress_rises_to_1(crop: np.ndarray, method: str) -> None:
    seen: list[float] = []
    explainer = KnownExplainer()
    faithfulness(
        explainer,
        crop,
        explained(map_of("right"), method),
        progress=seen.append,  # type: ignore[arg-type]
    )
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert max(np.diff(seen)) < 0.2
    assert explainer.passed == passes(method)


def test_cancelling_stops_and_keeps_nothing(crop: np.ndarray) -> None:
    explainer = KnownExplainer()
    with pytest.raises(Cancelled, match="stopped"):
        faithfulness(
            explainer,
            crop,
            explained(map_of("right")),  # type: ignore[arg-type]
            cancelled=lambda: explainer.passed > 30,
        )
    assert explainer.passed < 40
    assert explainer.kept == {}


@pytest.mark.parametrize(
    ("shape", "settings", "says"),
    [((32, 32), {}, "another crop"), ((SIDE, SIDE), {"orders": 0}, "at least 1 random order")],
)
def test_bad_input(crop: np.ndarray, shape: tuple, settings: dict, says: str) -> None:
    with pytest.raises(ExplanationError, match=says):
        faithfulness(
            KnownExplainer(),
            crop,
            explained(np.zeros(shape, np.float32)),
            **settings,  # type: ignore[arg-type]
        )


def test_a_true_explanation_can_be_tested() -> None:
    explainer = Explainer.load()
    explanation = explainer.attribute(blended(), GradCam.name, "resnet50")
    found = faithfulness(explainer, blended(), explanation, orders=1)
    assert found.logits[0] == pytest.approx(explanation.logit, abs=1e-3)
    assert np.isfinite(found.random_logits).all()
    assert found.describe()["sentence"] == found.sentence

"""Integrated Gradients (Sundararajan, Taly and Yan 2017), from the blurred crop to the crop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.concurrency.task import CancelCallback, ProgressCallback
from detector.errors import ExplanationError
from detector.explanation.methods.base import (
    Attribution,
    Method,
    ProgressForward,
    Setting,
    blurred,
    logit_of,
    sum_of_channels,
)
from detector.models.networks.layer import Layer

if TYPE_CHECKING:
    from torch import Tensor, nn

IG_STEPS = 32  # points on the way at which the gradient is taken (Gauss-Legendre)
IG_BATCH = 2  # steps in one pass; more costs memory and, on a CPU, time


class IntegratedGradients(Method):
    """The gradient, averaged on the straight way from the blurred crop, times the difference."""

    name = "integrated-gradients"
    title = "Integrated Gradients"
    question = (
        "How much does each pixel contribute to the difference between this face's logit and "
        "that of the same face blurred?"
    )
    additive = True
    slow = True
    grainy = True
    setting = Setting("steps", IG_STEPS, "of Integrated Gradients")

    def attribute(
        self,
        network: nn.Module,
        crop: Tensor,
        layer: Layer | None = None,
        value: int = IG_STEPS,
        progress: ProgressCallback | None = None,
        cancelled: CancelCallback | None = None,
    ) -> Attribution:
        """Integrate in `value` steps; the map is summed over colours, with Captum's delta."""
        from captum.attr import IntegratedGradients as Integrated

        baseline = blurred(crop)
        logit, baseline_logit = logit_of(network, crop), logit_of(network, baseline)
        watched = ProgressForward(network, value + 2, progress, cancelled)
        values, delta = Integrated(watched).attribute(
            crop,
            baseline,
            n_steps=value,
            internal_batch_size=IG_BATCH,
            return_convergence_delta=True,
        )
        return Attribution(sum_of_channels(values.detach()), logit, baseline_logit, float(delta))

    def passes(self, crop_size: int, value: int = IG_STEPS) -> float:
        """Return the cost of the steps, each with a gradient, and of both ends."""
        return 2.3 * value + 4

    def check(self, value: int, crop_size: int) -> None:
        """Raise ExplanationError where there is not even one step."""
        if value < 1:
            raise ExplanationError("Integrated Gradients needs at least 1 step.")

"""Integrated Gradients (Sundararajan, Taly and Yan 2017, "Axiomatic attribution ...")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from detector.errors import ExplanationError
from detector.explanation.blur import blurred
from detector.explanation.methods.base import (
    Attribution,
    Method,
    Options,
    Setting,
    logit_of,
    sum_of_channels,
)
from detector.explanation.progress import ProgressForward

if TYPE_CHECKING:
    from torch import Tensor, nn

BATCH = 2  # steps in one pass; more costs memory and, on a CPU, time


class IntegratedGradients(Method):
    """The gradient, integrated from the blurred crop to the crop, times their difference.

    Summed over colours, in units of the logit: the map's sum is the difference of the two logits,
    up to the convergence delta, which more steps make smaller. `steps` is the number of points on
    the way at which the gradient is taken (Gauss-Legendre).
    """

    name = "integrated-gradients"
    title = "Integrated Gradients"
    question = (
        "How much does each pixel contribute to the difference between this face's logit and "
        "that of the same face blurred?"
    )
    additive = True
    pixelwise = True
    slow = True
    settings = (Setting("steps", 32, "of Integrated Gradients"),)

    def attribute(self, network: nn.Module, crop: Tensor, options: Options) -> Attribution:
        """Explain the logit, as `Method.attribute` says."""
        from captum import attr

        steps = options.settings["steps"]
        if steps < 1:
            raise ExplanationError("Integrated Gradients needs at least 1 step.")
        baseline = blurred(crop)
        logit, baseline_logit = logit_of(network, crop), logit_of(network, baseline)
        # Captum asks for both ends once more, for the convergence delta.
        forward = ProgressForward(network, steps + 2, options.progress, options.cancelled)
        values, delta = attr.IntegratedGradients(forward).attribute(
            crop,
            baseline,
            n_steps=steps,
            internal_batch_size=BATCH,
            return_convergence_delta=True,
        )
        return Attribution(sum_of_channels(values.detach()), logit, baseline_logit, float(delta))

    def passes(self, crop_size: int, settings: Mapping[str, int]) -> float:
        """Return 2.3 for each step, forward and back, and 4 for the ends."""
        return 2.3 * settings["steps"] + 4

"""Integrated Gradients (Sundararajan, Taly and Yan 2017)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from detector.explanation.methods.base import (
    CancelCallback,
    ProgressCallback,
    ProgressForward,
    blurred,
    logit_of,
    sum_of_channels,
)

if TYPE_CHECKING:
    from torch import Tensor


IG_STEPS = 32


IG_BATCH = 2  # steps in one pass; more costs memory and, on a CPU, time


def integrated_gradients(
    network: Callable[[Tensor], Tensor],
    crop: Tensor,
    steps: int = IG_STEPS,
    progress: ProgressCallback | None = None,
    cancelled: CancelCallback | None = None,
) -> tuple[NDArray[np.float32], float, float, float]:
    """Integrated Gradients (Sundararajan et al. 2017) from the blurred crop to the crop.

    Args:
        network: crops [n, 3, s, s] to logits [n].
        crop: float32 [1, 3, s, s] in [0, 1].
        steps: points on the way at which the gradient is taken (Gauss-Legendre).

    Returns:
        map float32 [s, s] summed over colours, logit, baseline's logit, convergence delta.

    Raises:
        Cancelled: `cancelled` returned True.
    """
    from captum.attr import IntegratedGradients

    baseline = blurred(crop)
    logit, baseline_logit = logit_of(network, crop), logit_of(network, baseline)
    watched = ProgressForward(network, steps + 2, progress, cancelled)
    values, delta = IntegratedGradients(watched).attribute(
        crop,
        baseline,
        n_steps=steps,
        internal_batch_size=IG_BATCH,
        return_convergence_delta=True,
    )
    return sum_of_channels(values.detach()), logit, baseline_logit, float(delta)

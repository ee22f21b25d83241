"""Focal loss (Lin et al. 2017, "Focal loss for dense object detection"); its gamma is tuned."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def focal_loss(
    logits: Tensor, labels: Tensor, gamma: float = 2.0, alpha: float | None = None
) -> Tensor:
    """Return binary cross-entropy in which well-classified examples count less.

    Args:
        logits: float [n], positive = manipulated.
        labels: float [n], 1 = manipulated, 0 = not.
        gamma: how fast the weight of easy examples falls, >= 0; 0 is binary cross-entropy.
        alpha: weight of manipulated examples, in (0, 1); the others get 1 - alpha. None leaves
            both at 1.

    Returns:
        float [n], the loss of each example, not averaged.
    """
    entropy = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    # 1 - p of the true class, from the logit: 1 - exp(-entropy) loses digits near 0.
    wrong = torch.sigmoid(torch.where(labels > 0.5, -logits, logits))
    loss = entropy * wrong**gamma
    if alpha is None:
        return loss
    return loss * torch.where(labels > 0.5, alpha, 1 - alpha)

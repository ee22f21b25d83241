"""A network small enough to train in a test."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TinyNetwork(nn.Module):
    """Two convolutions, dropout and a logit: trains like the real ones, in milliseconds."""

    name = "resnet50"

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 5, stride=2),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(16, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits [n]."""
        return self.layers(images).squeeze(-1)

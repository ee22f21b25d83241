"""Distillation: one network teaches the other, for a trunk without ImageNet weights.

Hinton et al. 2015, "Distilling the knowledge in a neural network" (logits), and Romero et al.
2015, "FitNets" (dense features): the student also learns the teacher's last feature map, through
one linear layer that is thrown away afterwards.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from detector.models.face_network import load_network, normalise
from detector.models.spec import NetworkSpec
from detector.training.clips import PreparedBatch
from detector.training.losses import focal_loss
from detector.training.module import ClipTrainer
from detector.training.presets import TrainConfig

FEATURES = 2048


class Distiller(ClipTrainer):
    """A student that learns from labels, and from a teacher's logits and feature maps.

    Args:
        config: the student's settings.
        teacher: the trained network that teaches; its weights never change.
        logit_weight, feature_weight: of the two lessons, beside the focal loss's 1.
    """

    def __init__(
        self,
        config: TrainConfig,
        teacher: NetworkSpec,
        logit_weight: float = 1.0,
        feature_weight: float = 1.0,
    ) -> None:
        super().__init__(config)
        # In a list, the teacher is no part of the student's weights and checkpoints.
        self._teacher = [load_network(teacher).requires_grad_(False)]
        self._spec = teacher
        self._logit_weight = logit_weight
        self._feature_weight = feature_weight
        self.adapter = nn.Conv2d(FEATURES, FEATURES, 1)

    def teach(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """Return the teacher's logits float [n] and map [n, 2048, h, w] of views [n, 3, s, s]."""
        teacher = self._teacher[0]
        trunk: Any = teacher.trunk
        if next(teacher.parameters()).device != views.device:
            teacher.to(views.device)
        teacher.eval()
        with torch.no_grad():
            crops = (views * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
            features = trunk.forward_features(normalise(crops, self._spec))
            return teacher.head(trunk.forward_head(features)).squeeze(-1), features

    def losses(self, batch: PreparedBatch) -> tuple[Tensor, Tensor]:
        """Return clip logits float [clips], and focal loss plus both lessons, float [clips]."""
        clips, frames = batch.views.shape[:2]
        views = batch.views.flatten(0, 1)
        network: Any = self.network
        trunk = network.trunk
        features = trunk.forward_features(self.normalise(views))
        logits = network.head(trunk.forward_head(features)).squeeze(-1)
        taught, lesson = self.teach(views)
        # Soft targets: the teacher's own probability, not only which side it is on.
        soft = functional.binary_cross_entropy_with_logits(
            logits.float(), torch.sigmoid(taught.float()), reduction="none"
        )
        size = (lesson.shape[-2], lesson.shape[-1])
        mine = functional.adaptive_avg_pool2d(self.adapter(features).float(), size)
        apart = 1 - functional.cosine_similarity(mine, lesson.float(), dim=1).mean(dim=(1, 2))
        clip_logits = logits.view(clips, frames).mean(dim=1).float()
        total = focal_loss(clip_logits, batch.labels, self.config.gamma, self.config.alpha)
        extra = self._logit_weight * soft + self._feature_weight * apart
        return clip_logits, total + extra.view(clips, frames).mean(dim=1)

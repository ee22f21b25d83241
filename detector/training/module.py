"""The training step: N frames of each clip, one logit a clip, focal loss; on Lightning."""

from __future__ import annotations

import math
from typing import Any

import pytorch_lightning as lightning
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import BinaryAccuracy, BinaryAUROC, BinaryF1Score

from detector.training.clips import PreparedBatch
from detector.training.history import Scores
from detector.training.initial_weights import freeze, make_network
from detector.training.losses import focal_loss
from detector.training.presets import TrainConfig
from detector.training.stateless_random import seed_of

WARM_UP = 0.03  # share of the steps over which the learning rate rises


class SplitMetrics(nn.Module):
    """Focal loss, log loss, F1, accuracy and AUC of one split, gathered over an epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.focal_loss = MeanMetric()
        self.log_loss = MeanMetric()
        self.binary = MetricCollection(
            {"f1": BinaryF1Score(), "accuracy": BinaryAccuracy(), "auc": BinaryAUROC()}
        )

    def update(self, logits: Tensor, labels: Tensor, focal: Tensor) -> None:
        """Add clips: logits, labels and focal losses, float [n] each."""
        if not len(logits):
            return
        entropy = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        self.focal_loss.update(focal)
        self.log_loss.update(entropy)
        # Probabilities, not logits: torchmetrics guesses which of the two it was given.
        self.binary.update(torch.sigmoid(logits.float()), labels.long())

    def compute(self) -> Scores:
        """Return the scores so far, after which counting starts anew."""
        values = {name: float(value) for name, value in self.binary.compute().items()}
        values["focal_loss"] = float(self.focal_loss.compute())
        values["log_loss"] = float(self.log_loss.compute())
        self.binary.reset()
        self.focal_loss.reset()
        self.log_loss.reset()
        return Scores(
            **{name: value if math.isfinite(value) else None for name, value in values.items()}
        )


class ClipTrainer(lightning.LightningModule):
    """A network in training; the clip's logit is the mean of its frames' logits (the paper).

    Args:
        config: the run's settings.
        network: what is trained; by default the network that the settings name.
    """

    def __init__(self, config: TrainConfig, network: nn.Module | None = None) -> None:
        super().__init__()
        self.config = config
        if network is None:
            network = make_network(config.network, config.init, config.dropout)
        self.network = network
        self._frozen = freeze(network, config.freeze) if config.freeze else ()
        self.train_metrics = SplitMetrics()
        self.val_metrics = SplitMetrics()
        self.samples = 0  # frames shown to the network
        self.skipped = 0  # unreadable images of this epoch
        self.val_scores = Scores()
        self.train()  # Lightning trains in the mode that it is given; frozen stages stay as here

    def train(self, mode: bool = True) -> ClipTrainer:
        """Enter training mode, in which frozen stages also keep their batch statistics."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def normalise(self, views: Tensor) -> Tensor:
        """Return the network input of views float32 [n, 3, s, s] in [0, 1]."""
        mean = views.new_tensor(self.config.mean).view(1, 3, 1, 1)
        std = views.new_tensor(self.config.std).view(1, 3, 1, 1)
        images = (views - mean) / std
        if images.is_cuda:
            images = images.contiguous(memory_format=torch.channels_last)
        return images

    def forward(self, views: Tensor) -> Tensor:
        """Return clip logits float [clips] of views float32 [clips, frames, 3, s, s] in [0, 1]."""
        clips, frames = views.shape[:2]
        logits: Tensor = self.network(self.normalise(views.flatten(0, 1)))
        return logits.view(clips, frames).mean(dim=1)

    def losses(self, batch: PreparedBatch) -> tuple[Tensor, Tensor]:
        """Return clip logits and the loss of each clip, float [clips] both."""
        logits = self(batch.views).float()
        return logits, focal_loss(logits, batch.labels, self.config.gamma, self.config.alpha)

    def on_train_epoch_start(self) -> None:
        """Tell the sampler which epoch it is, and count unreadable images anew."""
        sampler = getattr(self.trainer.datamodule, "sampler", None)  # type: ignore[attr-defined]
        if sampler is not None:  # Lightning's distributed wrapper hides it from set_epoch
            sampler.set_epoch(self.current_epoch)
        self.skipped = 0

    def on_train_batch_start(self, batch: PreparedBatch, batch_idx: int) -> None:
        """Make dropout depend on run seed and step alone, so that resuming changes nothing."""
        torch.manual_seed(seed_of(self.config.seed, self.global_step, 7))

    def training_step(self, batch: PreparedBatch, batch_idx: int) -> Tensor:
        """Return the mean focal loss over the readable clips."""
        logits, losses = self.losses(batch)
        weights = batch.weights
        kept = weights > 0
        focal = focal_loss(
            logits.detach()[kept], batch.labels[kept], self.config.gamma, self.config.alpha
        )
        self.train_metrics.update(logits.detach()[kept], batch.labels[kept], focal)
        self.samples += batch.views.shape[0] * batch.views.shape[1] * self.trainer.world_size
        self.skipped += int(batch.skipped.sum())
        return (losses * weights).sum() / weights.sum().clamp(min=1)

    def validation_step(self, batch: PreparedBatch, batch_idx: int) -> None:
        """Gather the metrics of unaltered clips."""
        logits = self(batch.views).float()
        kept = batch.weights > 0
        logits, labels = logits[kept], batch.labels[kept]
        focal = focal_loss(logits, labels, self.config.gamma, self.config.alpha)
        self.val_metrics.update(logits, labels, focal)
        self.skipped += int(batch.skipped.sum())

    def on_validation_epoch_end(self) -> None:
        """Close the epoch's metrics; `validation_focal_loss` decides which epoch is kept."""
        if self.trainer.sanity_checking:
            return
        self.val_scores = self.val_metrics.compute()
        # Trials with another gamma compare by log loss, which gamma does not scale.
        for name in ("focal_loss", "log_loss"):
            value = getattr(self.val_scores, name)
            self.log(f"validation_{name}", math.inf if value is None else value)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the count of samples."""
        checkpoint["samples"] = self.samples

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Bring the count of samples back."""
        self.samples = checkpoint["samples"]

    def trained_parameters(self) -> list[tuple[str, nn.Parameter]]:
        """Return named parameters that learn."""
        return [(name, value) for name, value in self.named_parameters() if value.requires_grad]

    def configure_optimizers(self) -> Any:
        """Make AdamW: biases and normalisation do not decay; constant or cosine after a warm-up."""
        config = self.config
        named = self.trained_parameters()
        groups = [
            {
                "params": [value for _, value in named if value.ndim > 1],
                "weight_decay": config.weight_decay,
            },
            {"params": [value for _, value in named if value.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=config.learning_rate)
        steps = max(int(self.trainer.estimated_stepping_batches), 1)
        warm = max(round(steps * WARM_UP), 1)

        def factor(step: int) -> float:
            rise = min(1.0, (step + 1) / warm)
            if config.schedule == "constant":
                return rise
            return rise * 0.5 * (1 + math.cos(math.pi * min(step / steps, 1.0)))

        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

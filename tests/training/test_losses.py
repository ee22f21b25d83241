from __future__ import annotations

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision.ops import sigmoid_focal_loss

from detector.training.losses import focal_loss


def _examples() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(200, generator=generator) * 4
    return logits, (torch.rand(200, generator=generator) < 0.5).float()


def test_gamma_zero_is_binary_cross_entropy() -> None:
    logits, labels = _examples()
    expected = binary_cross_entropy_with_logits(logits, labels, reduction="none")
    torch.testing.assert_close(focal_loss(logits, labels, gamma=0), expected)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 4.0])
@pytest.mark.parametrize("alpha", [None, 0.25, 0.75])
def test_equals_torchvision(gamma: float, alpha: float | None) -> None:
    logits, labels = _examples()
    expected = sigmoid_focal_loss(logits, labels, -1 if alpha is None else alpha, gamma)
    torch.testing.assert_close(focal_loss(logits, labels, gamma, alpha), expected)


def test_is_exact_and_has_a_gradient_where_an_example_is_certain() -> None:
    logits = torch.tensor([40.0, -40.0, 40.0, -40.0], requires_grad=True)
    loss = focal_loss(logits, torch.tensor([1.0, 0.0, 0.0, 1.0]), gamma=2)
    torch.testing.assert_close(loss, torch.tensor([0.0, 0.0, 40.0, 40.0]))
    loss.sum().backward()
    assert torch.isfinite(logits.grad).all()

"""A network that scores faces: one of timm's trunks and a head of our own, and its weights."""

from __future__ import annotations

from pathlib import Path

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from detector.errors import ModelError
from detector.models.integrity import check_hash
from detector.models.networks.registry import NETWORKS, or_list
from detector.models.spec import NetworkSpec


class FaceNetwork(nn.Module):
    """A trunk that turns a face crop into features, and a head that turns them into a logit.

    Args:
        name: of a kind of network, see `detector.models.networks.registry`.
        dropout: probability of dropping a feature in training.

    Raises:
        ModelError: there is no such kind.
    """

    def __init__(self, name: str, dropout: float = 0.3) -> None:
        super().__init__()
        if name not in NETWORKS:
            raise ModelError(
                f"There is no network called {name!r}; choose {or_list(tuple(NETWORKS))}."
            )
        self.name = name
        definition = NETWORKS[name]
        self.trunk = timm.create_model(definition.trunk, pretrained=False, num_classes=0)
        self.head = definition.head(dropout)
        # Captum's guided back-propagation and layer hooks need activations kept as they were.
        for module in self.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False

    def forward(self, images: Tensor) -> Tensor:
        """Return logits float32 [n], positive = manipulated, of normalised images [n, 3, s, s]."""
        logits: Tensor = self.head(self.trunk(images)).squeeze(-1)
        return logits


def load_network(spec: NetworkSpec, device: str | torch.device = "cpu") -> FaceNetwork:
    """Return the trained network that `spec` describes, in evaluation mode, float32.

    Raises:
        ModelError: the file is missing, damaged, has another hash, or does not fit the network.
    """
    check_hash(spec)
    network = FaceNetwork(spec.name)
    load_weights(network, spec.path)
    return network.eval().to(device)


def load_weights(network: FaceNetwork, path: Path) -> None:
    """Put the float16 or float32 tensors of a `.safetensors` file into `network`, in place."""
    try:
        state = {
            key: value.float() if value.is_floating_point() else value
            for key, value in load_file(path).items()
        }
        network.load_state_dict(state)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"{path.name} does not hold weights of {network.name}; restore it from the repository."
        ) from error


def normalise(crops: Tensor, spec: NetworkSpec) -> Tensor:
    """Turn face crops into the input of a network.

    Args:
        crops: uint8 [n, s, s, 3], RGB, any side s.

    Returns:
        float32 [n, 3, input_size, input_size], scaled, area-filtered where it shrinks.
    """
    images = crops.permute(0, 3, 1, 2).float() / 255
    if images.shape[-1] != spec.input_size:
        images = nn.functional.interpolate(
            images,
            size=(spec.input_size, spec.input_size),
            mode="bilinear",
            antialias=True,
            align_corners=False,
        )
    mean = images.new_tensor(spec.mean).view(1, 3, 1, 1)
    std = images.new_tensor(spec.std).view(1, 3, 1, 1)
    return (images - mean) / std

"""The paper's two networks: ResNet50 with two dense layers, and Xception.

Paper, "Networks": ResNet50 has 48 convolutional layers and 2 fully connected dense layers,
Xception has 36 convolutional layers, residually connected. Trunks are timm's.
"""

from __future__ import annotations

from pathlib import Path

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from detector.errors import ModelError
from detector.models.integrity import check_hash
from detector.models.spec import NetworkSpec

TRUNKS = {"resnet50": "resnet50", "xception": "legacy_xception"}


class FaceNetwork(nn.Module):
    """A trunk that turns a face crop into 2048 features, and a head that turns them into a logit.

    Args:
        name: "resnet50" (head: dense 2048 -> 512, ReLU, dropout, dense 512 -> 1) or
            "xception" (head: dropout, linear 2048 -> 1).
        dropout: probability of dropping a feature in training.
    """

    def __init__(self, name: str, dropout: float = 0.3) -> None:
        super().__init__()
        if name not in TRUNKS:
            raise ModelError(f"There is no network called {name!r}; choose resnet50 or xception.")
        self.name = name
        self.trunk = timm.create_model(TRUNKS[name], pretrained=False, num_classes=0)
        if name == "resnet50":
            self.head = nn.Sequential(
                nn.Linear(2048, 512), nn.ReLU(), nn.Dropout(dropout), nn.Linear(512, 1)
            )
        else:
            self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2048, 1))
        # Captum's guided back-propagation and layer hooks need activations kept as they were.
        for module in self.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False

    def forward(self, images: Tensor) -> Tensor:
        """Logits float32 [n], positive = manipulated, of normalised images float32 [n, 3, s, s]."""
        return self.head(self.trunk(images)).squeeze(-1)


def load_network(spec: NetworkSpec, device: str | torch.device = "cpu") -> FaceNetwork:
    """The trained network that `spec` describes, in evaluation mode, float32.

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
    """Network input from face crops.

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

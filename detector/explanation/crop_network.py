"""The networks as functions of the face crop: one logit from pixels, differentiable throughout.

Attribution methods explain a crop, not a network's input. So resizing and normalising are part
of the module here, every map comes out at the crop's own size, and the sum of a map over the
crop's pixels keeps its meaning for each network and for the ensemble alike.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from detector.models.ensemble import factors
from detector.models.face_network import FaceNetwork
from detector.models.spec import EnsembleSpec, NetworkSpec


class CropNetwork(nn.Module):
    """One network, from face crop to logit.

    Args:
        network: the trained network.
        spec: its input size, mean and standard deviation.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: FaceNetwork, spec: NetworkSpec) -> None:
        super().__init__()
        self.network = network
        self.spec = spec
        device = next(network.parameters()).device
        self.register_buffer("mean", torch.tensor(spec.mean, device=device).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(spec.std, device=device).view(1, 3, 1, 1))

    def forward(self, crops: Tensor) -> Tensor:
        """Return logits float32 [n] of crops float32 [n, 3, s, s] in [0, 1]; any side s.

        They are the numbers that `normalise` and the network give, with a gradient.
        """
        side = self.spec.input_size
        if crops.shape[-1] != side:
            crops = nn.functional.interpolate(
                crops, size=(side, side), mode="bilinear", antialias=True, align_corners=False
            )
        logits: Tensor = self.network((crops - self.mean) / self.std)
        return logits


class EnsembleNetwork(nn.Module):
    """The weighted mean of the networks' calibrated logits, as `EnsembleSpec` describes it.

    Args:
        spec: weights and temperatures.
        networks: a `CropNetwork` for every name in `spec.networks`.
    """

    def __init__(self, spec: EnsembleSpec, networks: Mapping[str, CropNetwork]) -> None:
        super().__init__()
        self.spec = spec
        self.networks = nn.ModuleDict({entry.name: networks[entry.name] for entry in spec.networks})
        self.factors = factors(spec.networks)

    def forward(self, crops: Tensor) -> Tensor:
        """Return logits float32 [n], positive = manipulated, of crops [n, 3, s, s] in [0, 1]."""
        parts = [
            factor * self.networks[name](crops) for name, factor in self.factors.items() if factor
        ]
        return torch.stack(parts).sum(dim=0)


def private_view(network: CropNetwork) -> CropNetwork:
    """Copy the modules and share every weight: hooks set on the copy are seen by nobody else.

    Captum sets hooks on modules, and hooks of two explanations on one module mix. A view costs
    about 15 ms and no memory for weights, so each explanation gets its own and none has to wait.
    """
    shared = {id(t): t for t in itertools.chain(network.parameters(), network.buffers())}
    return copy.deepcopy(network, shared)

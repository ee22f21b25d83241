"""Weights to start from: timm's hub, a local file, or chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from detector.errors import TrainingError
from detector.models.face_network import FaceNetwork
from detector.models.networks.registry import NETWORKS

PICKLED = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle")


def make_network(name: str, init: str, dropout: float) -> FaceNetwork:
    """Make a network ready to be trained.

    Args:
        name: of a kind of network.
        init: path of a `.npz` or `.safetensors` file with a trunk (keys as in timm's state
            dict) or a whole `FaceNetwork`; "timm" for timm's pretrained trunk; "" for chance.
        dropout: of the head.

    Raises:
        TrainingError: the weights cannot be had, or do not fit.
    """
    network = FaceNetwork(name, dropout)
    if init == "timm":
        network.trunk.load_state_dict(_from_hub(name))
    elif init:
        _load(network, Path(init))
    return network


def freeze(network: torch.nn.Module, stages: int) -> tuple[torch.nn.Module, ...]:
    """Keep the first `stages` parts of the trunk as they are; returns their modules."""
    frozen = []
    for names in NETWORKS[str(network.name)].stages[:stages]:
        for name in names:
            module = network.get_submodule(f"trunk.{name}")
            module.requires_grad_(False)
            frozen.append(module)
    return tuple(frozen)


def _from_hub(name: str) -> dict[str, Tensor]:
    import timm

    try:
        trunk = timm.create_model(NETWORKS[name].trunk, pretrained=True, num_classes=0)
    except Exception as error:  # the hub's client has dozens of kinds
        raise TrainingError(
            f"timm's pretrained weights of {name} cannot be fetched here; name a local file with "
            "--init, or start from random weights with --init none."
        ) from error
    return dict(trunk.state_dict())


def _load(network: FaceNetwork, path: Path) -> None:
    if path.suffix.lower() in PICKLED:
        raise TrainingError(
            f"{path} is of a kind that can run a program when it is opened; save its weights as "
            ".safetensors and name that file."
        )
    try:
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                state = {key: torch.from_numpy(arrays[key]) for key in arrays}
        else:
            state = load_file(path)
    except (OSError, TypeError, ValueError, SafetensorError) as error:
        raise TrainingError(
            f"{path} cannot be read as weights; name a .npz or .safetensors file."
        ) from error
    state = {
        key: value.float() if value.is_floating_point() else value
        for key, value in state.items()
        if not key.startswith("fc.")
    }
    whole = any(key.startswith("trunk.") for key in state)
    try:
        (network if whole else network.trunk).load_state_dict(state)
    except RuntimeError as error:
        raise TrainingError(
            f"{path.name} does not hold weights of {network.name}; name another file."
        ) from error

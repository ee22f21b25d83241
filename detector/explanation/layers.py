"""The layers of the paper's networks by number, with what a class needs to read them.

How each network is numbered stands in its file in `detector.models.networks`.

What a layer puts out, one rule for maps and Grad-CAM alike: the convolution, followed by the
batch norm and the ReLU that its block gives it, and no pooling. So ResNet50's layer 48 is what
goes on to the dense layers.

Everything here is arithmetic on the architectures: no weights are read and torch is not
imported.
"""

from __future__ import annotations

import functools
from dataclasses import replace

from detector.errors import ExplanationError
from detector.explanation.captions import caption_of
from detector.models.networks.layer import Layer
from detector.models.networks.registry import NETWORKS, network_title, or_list
from detector.models.spec import read_ensemble


def explained_networks() -> tuple[str, ...]:
    """Return the names of the installed networks whose layers are known, as registered."""
    installed = _input_sizes()
    return tuple(name for name in NETWORKS if name in installed)


def layers(network: str, input_size: int | None = None) -> tuple[Layer, ...]:
    """Return all layers of `network` in forward order, dense layers last.

    Args:
        network: name of an installed network.
        input_size: side of the input in pixels; by default the installed weights' own.

    Raises:
        ExplanationError: there is no such network.
    """
    if network not in explained_networks():
        raise ExplanationError(
            f"There is no network called {network!r}; choose {or_list(explained_networks())}."
        )
    return _layers(network, input_size or _input_sizes()[network])


def convolutions(network: str, input_size: int | None = None) -> tuple[Layer, ...]:
    """Return the layers of `network` that have feature maps: all but the dense ones."""
    return tuple(found for found in layers(network, input_size) if found.is_map)


def layer(address: str, input_size: int | None = None) -> Layer:
    """Return the layer at `address`, e.g. "resnet50:24", "resnet50:dense1", "xception:36".

    Args:
        address: network and number, or network and dense layer.
        input_size: as for `layers`.

    Raises:
        ExplanationError: no layer has that address; the message names those that exist.
    """
    network, _, number = address.strip().lower().partition(":")
    if network not in explained_networks():
        examples = tuple(NETWORKS[name].preset_addresses[1] for name in explained_networks())
        raise ExplanationError(
            f"There is no layer {address!r}; write an address such as {or_list(examples)}."
        )
    for found in layers(network, input_size):
        if found.address == f"{network}:{number}":
            return found
    numbered = convolutions(network)
    dense = " and ".join(found.address for found in layers(network) if not found.is_map)
    raise ExplanationError(
        f"There is no layer {address!r}; {network_title(network)} has {numbered[0].address} to "
        f"{numbered[-1].address}, then {dense}."
    )


def last_convolution(network: str, input_size: int | None = None) -> Layer:
    """Return the layer whose maps go on to the dense layers: resnet50:48 or xception:36."""
    return convolutions(network, input_size)[-1]


@functools.cache
def _input_sizes() -> dict[str, int]:
    return {network.name: network.input_size for network in read_ensemble().networks}


@functools.lru_cache(maxsize=16)
def _layers(network: str, input_size: int) -> tuple[Layer, ...]:
    row = tuple(NETWORKS[network].layers(input_size))
    return tuple(replace(found, caption=caption_of(found, row)) for found in row)

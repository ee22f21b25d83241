"""Every kind of network that can be installed: a new one is a new file and a line here."""

from __future__ import annotations

from detector.models.networks.definition import NetworkDefinition
from detector.models.networks.resnet50 import RESNET50
from detector.models.networks.xception import XCEPTION

NETWORKS: dict[str, NetworkDefinition] = {
    network.name: network
    for network in (
        RESNET50,
        XCEPTION,
    )
}

FIRST_NETWORK = next(iter(NETWORKS))
"""The paper's own example, which is shown where nobody has chosen."""

ENSEMBLE = "ensemble"
"""What the weighted mean of the networks is called where a network is chosen."""


def network_title(name: str) -> str:
    """Return the name of a network, or of the ensemble, as people read it."""
    if name == ENSEMBLE:
        return "Ensemble"
    return NETWORKS[name].title if name in NETWORKS else name


def network_colour(name: str) -> str | None:
    """Return the colour of a network's or the ensemble's curves, hex; None for a stranger's."""
    if name == ENSEMBLE:
        return "#3b82c4"
    return NETWORKS[name].colour if name in NETWORKS else None


def network_dash(name: str) -> str | None:
    """Return the dash of a network's lines, as Plotly names it; None for a stranger's."""
    return NETWORKS[name].dash if name in NETWORKS else None


def or_list(names: tuple[str, ...]) -> str:
    """Return names as a choice in a sentence: "resnet50 or xception"."""
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))

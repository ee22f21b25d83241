"""Which network and layer is looked at, and the maps it gives; shared by the explaining pages."""

from __future__ import annotations

import streamlit as st

from detector.errors import ExplanationError
from detector.explanation.explainer import Explainer
from detector.explanation.feature_maps import FeatureMaps
from detector.explanation.layers import convolutions, explained_networks, layer
from detector.models.networks.layer import Layer
from detector.models.networks.registry import NETWORKS, network_title
from pages.parts.explain.face_picker import PickedFace
from pages.parts.text import plain


@st.cache_resource(max_entries=12, show_spinner="Looking through this layer…")
def _feature_maps(_face: PickedFace, key: str, address: str) -> FeatureMaps:
    """Return the maps of one layer for a face; `key` and `address` tell them apart."""
    return Explainer.load().feature_maps(_face.crop, [address])[0]


def feature_maps(face: PickedFace, found: Layer) -> FeatureMaps:
    """Return the maps of one layer for a face, made once for all tabs."""
    return _feature_maps(face, face.key, found.address)


def pick_network(label: str = "Network") -> str:
    """Show the widget that picks a network, bound to the URL."""
    names = explained_networks()
    titles = [network_title(name) for name in names]
    title = (
        st.segmented_control(label, titles, default=titles[0], key="network", bind="query-params")
        or titles[0]
    )
    return names[titles.index(title)]


def pick_layer(network: str, asked: dict[str, str]) -> Layer:
    """Show widgets that pick a layer: presets, a slider over all, and a search by address.

    Args:
        network: name of an installed network.
        asked: the address bar's parameters, before widgets took what they accept out of them.
    """
    offered = convolutions(network)
    presets = [layer(address) for address in NETWORKS[network].preset_addresses]
    middle = presets[1]
    numbers = [found.number for found in offered]
    first, last = numbers[0] or 0, numbers[-1] or 0
    key = f"layer-{network}"
    state = st.session_state
    wanted = asked.get(key)
    if wanted is not None and not (wanted.isdigit() and first <= int(wanted) <= last):
        st.warning(
            f"There is no layer “{plain(wanted)}” in {network_title(network)}; it has layers "
            f"{first} to {last}. Layer {middle.number} is shown.",
            icon=":material/link_off:",
        )

    def go(number: int) -> None:
        state[key] = number

    def search() -> None:
        state.pop("layer_missing", None)
        text = state.get("address", "").strip()
        if not text:
            return
        try:
            found = layer(text if ":" in text else f"{network}:{text}")
        except ExplanationError as error:
            state.layer_missing = str(error)
            return
        if found.number is None:
            state.layer_missing = f"{found.title} has no maps; the walk to the score shows it."
        else:
            state.network = network_title(found.network)
            state[f"layer-{found.network}"] = found.number

    with st.container(horizontal=True, vertical_alignment="bottom"):
        for preset in presets:
            st.button(
                preset.title,
                on_click=go,
                args=(preset.number,),
                key=f"preset-{preset.address}",
                help=NETWORKS[network].presets_from or None,
            )
        st.text_input(
            "Find by address",
            key="address",
            placeholder=middle.address,
            on_change=search,
            width=220,
            help="An address names one layer: the network, a colon and the number of the layer.",
        )
    if missing := state.get("layer_missing"):
        st.error(plain(missing), icon=":material/search_off:")
    number = st.slider(
        "Layer",
        first,
        last,
        middle.number or first,
        key=key,
        bind="query-params",
    )
    return layer(f"{network}:{number}")


def describe_layer(found: Layer) -> None:
    """Say what a class should know of a layer."""
    filters, height, width = found.shape
    st.markdown(f"**{found.title}** of {network_title(found.network)} · `{found.address}`")
    st.markdown(plain(found.caption))
    st.caption(
        f"Module `{found.name}` · {found.kind}, {found.kernel}×{found.kernel} · "
        f"{filters:,} maps of {height}×{width} · one value sees {found.receptive_field}×"
        f"{found.receptive_field} pixels of the {found.input_size}×{found.input_size} input"
    )


def file_stem(found: Layer, face: PickedFace) -> str:
    """Return a sensible name for what is downloaded."""
    return f"veriframe-{found.address.replace(':', '-')}-{face.file_stem}"

"""The choice between installed models, where there are several."""

from __future__ import annotations

import streamlit as st

from detector.errors import ModelError
from detector.models.installed import InstalledModels, list_models
from detector.models.networks.registry import network_title
from pages.parts.text import plain


def show() -> None:
    """Draw a field for `Settings.models`; nothing where only the default is installed."""
    usable = {one.name: _about(one) for one in list_models()}
    names = [name for name, about in usable.items() if about or name == ""]
    state = st.session_state
    if state.get("models") not in names:
        state.models = ""  # never chosen, or gone since
    if len(names) == 1:
        return
    st.selectbox(
        "Models",
        names,
        key="models",
        persist_state="session",
        format_func=lambda name: f"{name or 'Default'}: {usable[name]}",
        help="Several are installed on this machine. Analyse a clip with each, then compare the "
        "two analyses in the library.",
    )


def _about(one: InstalledModels) -> str:
    """Return versions, and whether they are calibrated; "" where they cannot be used."""
    try:
        ensemble = one.read()
    except ModelError:
        return ""
    networks = ", ".join(f"{network_title(n.name)} {n.version}" for n in ensemble.networks)
    return plain(networks) + ("" if ensemble.bands.calibrated else ", not calibrated")

"""Attributions: which parts of a face raise or lower the score, and whether that can be trusted."""

import streamlit as st

from detector.explanation.layers import convolutions, explained_networks, last_convolution
from detector.explanation.methods.registry import FIRST_METHOD, METHODS
from detector.models.networks.registry import ENSEMBLE, network_title
from detector.models.spec import read_ensemble
from pages.parts import navigation
from pages.parts.explain import attribution_view, face_picker
from pages.parts.explain.attribution_tasks import Wanted

NAMES = (*explained_networks(), ENSEMBLE)
LAST = "Last convolution"

navigation.require()
st.title("Attributions")
st.caption(
    "Red parts raise the logit for manipulation, blue parts lower it. A map shows where a network "
    "looks, not where a face was altered; the curve beside it tests whether the map can be trusted."
)

with st.container(border=True):
    face = face_picker.pick_face()
    left, middle, right = st.columns([6, 4, 3], gap="medium")
    methods = left.pills(
        "Methods",
        [method.title for method in METHODS.values()],
        selection_mode="multi",
        default=[METHODS[FIRST_METHOD].title],
        key="methods",
        bind="query-params",
    )
    networks = middle.pills(
        "Networks",
        [network_title(name) for name in NAMES],
        selection_mode="multi",
        default=[network_title(read_ensemble().leading.name)],
        key="networks",
        bind="query-params",
    )
    names = [name for name in NAMES if network_title(name) in networks]
    layer = None
    if len(names) == 1 and names[0] != ENSEMBLE:
        own = convolutions(names[0])
        picked = right.selectbox(
            "Layer for Grad-CAM",
            [LAST, *(found.address for found in reversed(own))],
            key=f"cam-{names[0]}",
            bind="query-params",
            help=f"The last convolution is {last_convolution(names[0]).address}.",
        )
        layer = None if picked == LAST else picked
    test = right.toggle(
        "Test each map",
        value=True,
        key="test",
        persist_state="session",
        help="Blurs the marked parts away step by step, and squares at random for comparison: "
        "about 130 passes through the network for each map.",
    )

if face is None:
    st.stop()
wanted = [
    Wanted(name, network, layer if method.layered else None)
    for name, method in METHODS.items()
    if method.title in methods
    for network in names
]
if not wanted:
    st.info("Choose at least one method and one network.", icon=":material/touch_app:")
    st.stop()
attribution_view.show(face, wanted, test)

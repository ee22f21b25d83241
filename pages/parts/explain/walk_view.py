"""The walk: from layer 1 to the score, one step at a time, for a projector."""

from __future__ import annotations

import streamlit as st

from detector.explanation.explainer import Explainer
from detector.explanation.walk import Walk
from pages.parts.explain import layer_picker
from pages.parts.explain.face_picker import PickedFace
from pages.parts.text import plain


@st.cache_resource(max_entries=8, show_spinner="Following the face through the network…")
def _walk(_face: PickedFace, key: str, network: str) -> Walk:
    """Follow a face through a network; `key` and `network` tell walks apart."""
    return Explainer.load().walk(_face.crop, network)


def show(face: PickedFace, asked: dict[str, str]) -> None:
    """Show one step of the way from the face to the score."""
    choice, steps_row, buttons = st.columns([2, 7, 2], vertical_alignment="bottom")
    with choice:
        network = layer_picker.pick_network()
    walk = _walk(face, face.key, network)
    steps = walk.steps
    titles = ["The face", *(step.title for step in steps)]
    state = st.session_state
    key = f"step-{network}"
    if asked.get(key) is not None and asked[key] not in titles:
        st.warning(
            f"There is no step “{plain(asked[key])}”; the walk begins at the face.",
            icon=":material/link_off:",
        )

    def move(by: int) -> None:
        here = titles.index(state.get(key) or titles[0])
        state[key] = titles[min(max(here + by, 0), len(titles) - 1)]

    title = (
        steps_row.segmented_control("Step", titles, default=titles[0], key=key, bind="query-params")
        or titles[0]
    )
    here = titles.index(title)
    with buttons.container(horizontal=True, wrap=False):
        st.button(
            "Back",
            on_click=move,
            args=(-1,),
            disabled=here == 0,
            icon=":material/arrow_back:",
            key="walk-back",
        )
        st.button(
            "Next",
            on_click=move,
            args=(1,),
            disabled=here == len(titles) - 1,
            icon=":material/arrow_forward:",
            type="primary",
            key="walk-next",
        )
    picture, text = st.columns([1, 1], gap="large")
    if here == 0:
        picture.image(face.crop, width=560, alt="The face that goes in")
        text.header("The face", anchor=False)
        text.markdown(
            "The detector cuts the face out of the frame, with a little of its surroundings. "
            "These pixels are all that the network gets to see."
        )
        return
    step = steps[here - 1]
    image = step.picture(640)
    if image is not None:
        picture.image(image, width=560, alt=f"{step.title} as pictures")
        text.image(face.crop, width=120, alt="The face that went in")
    else:
        value = float(step.values[0]) if step.values is not None else 0.0
        picture.metric(step.title, f"{value:+.2f}" if step.address == "logit" else f"{value:.2f}")
        picture.image(face.crop, width=260, alt="The face that went in")
    text.header(step.title, anchor=False)
    text.markdown(plain(step.text))
    if step.layer is not None:
        text.caption(f"`{step.layer.address}` · module `{step.layer.name}`")
    if step.maps is not None:
        text.caption("The 16 most active filters, each with its own place in the grid.")
    elif image is not None:
        text.caption(
            "One square for each value; red pushes the logit up, blue pushes it down."
            if step.layer is None or len(step.layer.shape) > 1 or step.layer.signed
            else "One square for each unit; bright where it is active."
        )

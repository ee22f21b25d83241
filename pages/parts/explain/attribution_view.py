"""Maps over a face as cards, with the test of each map beside it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from detector.concurrency.task import Task
from detector.explanation.faithfulness import Faithfulness
from detector.explanation.heatmaps import colour_bar, png_bytes
from detector.explanation.methods.registry import METHODS
from detector.explanation.result import Explanation
from detector.figures.timeline import deletion_curve
from detector.wording import clock
from pages.parts.explain import attribution_tasks
from pages.parts.explain.attribution_tasks import TaskKey, Wanted
from pages.parts.explain.face_picker import PickedFace
from pages.parts.text import plain

QUICK = 1.5  # seconds that need no estimate


def show(face: PickedFace, wanted: list[Wanted], test: bool) -> None:
    """Show a card for each map; it redraws itself while any of them is being made."""
    attribution_tasks.cancel_others(face)

    def advance() -> list[bool]:
        return [attribution_tasks.advance(face, want, test) for want in wanted]  # all of them begin

    running = any(advance())

    @st.fragment(run_every=0.5 if running else None)
    def cards() -> None:
        if running and not any(advance()):
            st.rerun()
        for want in wanted:
            _card(face, want, test)

    cards()


def _card(face: PickedFace, wanted: Wanted, test: bool) -> None:
    """Show one map, or how far it is."""
    key = TaskKey(face.key, wanted, "map")
    method = METHODS[wanted.method]
    with st.container(border=True, key=f"map-{wanted.method}-{wanted.network}"):
        st.subheader(wanted.title, anchor=False)
        st.caption(method.question)
        explanation: Explanation | None = _result(key, "Making the map")
        if explanation is None:
            return
        picture, facts = st.columns([2, 3], gap="medium")
        overlay = explanation.overlay(face.crop)
        with picture:
            st.image(
                overlay,
                width="stretch",
                alt=f"{wanted.title} over the face",
                caption=face.caption,
            )
            scale = explanation.scale()
            st.image(colour_bar(scale, 480, 12), width="stretch", alt="Colour scale")
            st.caption(
                f"Blue (left, {scale.low:.2g}) lowers the logit for manipulation, red (right, "
                f"+{scale.high:.2g}) raises it" + ("." if method.additive else "; without a unit.")
            )
        with facts:
            _facts(explanation)
            stem = f"veriframe-{wanted.method}-{wanted.network}-{face.file_stem}"
            with st.container(horizontal=True):
                st.download_button(
                    "Picture (PNG)",
                    png_bytes(overlay),
                    f"{stem}.png",
                    "image/png",
                    on_click="ignore",
                    icon=":material/image:",
                    key=f"png-{stem}-{wanted.layer}",
                )
                st.download_button(
                    "Values (NPZ)",
                    explanation.npz(face.crop),
                    f"{stem}.npz",
                    "application/octet-stream",
                    on_click="ignore",
                    icon=":material/data_array:",
                    key=f"npz-{stem}-{wanted.layer}",
                )
            if test:
                _test(face, wanted)


def _facts(explanation: Explanation) -> None:
    """List the numbers of a map."""
    lines = [f"Logit of this face: **{explanation.logit:+.2f}**"]
    if explanation.layers:
        lines.append("Layer: " + ", ".join(f"`{address}`" for address in explanation.layers))
    if explanation.baseline_logit is not None and explanation.delta is not None:
        lines.append(
            f"The blurred face has {explanation.baseline_logit:+.2f}; the map's sum misses the "
            f"difference by {explanation.delta:+.3f} (convergence delta, "
            f"{explanation.relative_delta:.1%})"
        )
    lines.append(f"Took {clock(explanation.seconds)}")
    st.markdown("\n".join(f"- {line}" for line in lines))


def _test(face: PickedFace, wanted: Wanted) -> None:
    """Show whether a map is faithful, or how far its test is."""
    key = TaskKey(face.key, wanted, "test")
    if attribution_tasks.task_of(key) is None:
        return
    st.markdown("**Is this map faithful?**")
    found: Faithfulness | None = _result(key, "Blurring parts away")
    if found is None:
        return
    st.markdown(plain(found.sentence))
    st.plotly_chart(
        deletion_curve(found),
        key=f"curve-{wanted.method}-{wanted.network}-{wanted.layer}",
        config={"displayModeBar": False},
        alt="Logit while the marked parts are blurred away, against random orders",
    )
    if found.unexplained is not None:
        st.caption(
            f"Infidelity {found.infidelity:.3g}: sums over the map leave "
            f"{min(found.unexplained, 9.99):.0%} of the logit's changes unexplained."
        )


def _result(key: TaskKey, doing: str) -> Any:
    """Return what a task made; where it made nothing yet, say why, and return None."""
    task = attribution_tasks.task_of(key)
    if task is None:
        return None
    if not task.finished:
        _waiting(task, doing, key)
    elif task.result is None:
        _stopped(task, key)
    return task.result if task.finished else None


def _waiting(task: Task[float, Any], doing: str, key: TaskKey) -> None:
    """Show how far a task is, and offer to stop it."""
    timing = attribution_tasks.timing(key, task)
    if timing is None:
        left = ", waiting for its turn"
    else:
        elapsed, whole = timing
        left = f", about {clock(whole - elapsed)} left" if whole > QUICK else ""
    st.progress(task.progress, f"{doing}{left}")
    st.button("Stop", key=f"stop-{key.widget}", on_click=task.cancel, icon=":material/stop_circle:")


def _stopped(task: Task[float, Any], key: TaskKey) -> None:
    """Say why a task made nothing, and offer to start it again."""
    if task.error:
        st.error(plain(task.error), icon=":material/error:")
    else:
        st.info("Stopped.", icon=":material/cancel:")
    st.button(
        "Start again",
        key=f"again-{key.widget}",
        on_click=attribution_tasks.forget,
        args=(key,),
        icon=":material/replay:",
    )

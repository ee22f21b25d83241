"""Maps over a face, made in the background, and the test of each map beside it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import streamlit as st

from detector.concurrency.task import CancelCallback, ProgressCallback, Task
from detector.errors import Cancelled
from detector.explanation.faithfulness import Faithfulness, faithfulness
from detector.explanation.heatmaps import colour_bar, png_bytes
from detector.explanation.methods.registry import METHODS
from detector.explanation.result import Explanation
from detector.figures.timeline import deletion_curve
from detector.models.networks.registry import network_title
from detector.wording import clock
from pages.parts.explain import layer_picker
from pages.parts.explain.face_picker import Chosen
from pages.parts.text import plain

# One explanation at a time in this process: two would only slow each other, and the analyses.
_SLOT = threading.Semaphore(1)
QUICK = 1.5  # seconds that need no estimate
PASSES_OF_A_TEST = 130


@dataclass(frozen=True)
class Wanted:
    """A map that is asked for: method, network, and the layer where one was chosen."""

    method: str
    network: str
    layer: str | None

    @property
    def title(self) -> str:
        """As a heading."""
        layer = f", {self.layer}" if self.layer else ""
        return f"{METHODS[self.method].title} · {network_title(self.network)}{layer}"


def show(chosen: Chosen, wanted: list[Wanted], test: bool) -> None:
    """A card for each map; redraws itself while any of them is being made."""
    tasks = _tasks()
    for stale in [key for key in tasks if key[0] != chosen.key]:
        tasks.pop(stale).cancel()  # another face is looked at now
    running = any([_step(chosen, want, test) for want in wanted])  # noqa: C419  (all begin)

    @st.fragment(run_every=0.5 if running else None)
    def cards() -> None:
        steps = [_step(chosen, want, test) for want in wanted]  # all of them, so that all begin
        if running and not any(steps):
            st.rerun()
        for want in wanted:
            _card(chosen, want, test)

    cards()


def _tasks() -> dict[tuple, Task[float, Any]]:
    tasks: dict[tuple, Task[float, Any]] = st.session_state.setdefault("explaining", {})
    return tasks


def _estimates() -> dict[tuple, tuple[float, float]]:
    """When a task's turn came (monotonic seconds), and how long it was thought to take."""
    found: dict[tuple, tuple[float, float]] = st.session_state.setdefault("estimates", {})
    return found


def _step(chosen: Chosen, want: Wanted, test: bool) -> bool:
    """Start what is due for one map; True while something of it runs."""
    tasks = _tasks()
    first, second = (chosen.key, want, "map"), (chosen.key, want, "test")
    if first not in tasks:
        tasks[first] = Task(_work_of_map(chosen, want), 0.0, name="explain")
    done = tasks[first]
    if not done.finished:
        return True
    if test and done.result is not None and second not in tasks:
        tasks[second] = Task(_work_of_test(chosen, want, done.result), 0.0, name="explain")
    return second in tasks and not tasks[second].finished


def _work_of_map(chosen: Chosen, want: Wanted):  # type: ignore[no-untyped-def]
    explainer, crop, key = layer_picker.explainer(), chosen.crop, chosen.key
    estimates = _estimates()

    def work(progress: ProgressCallback, cancelled: CancelCallback) -> Explanation:
        def make() -> Explanation:
            with _Turn(cancelled):
                seconds = explainer.estimate_seconds(want.method, want.network)
                estimates[(key, want, "map")] = (time.monotonic(), seconds)
                return explainer.attribute(
                    crop, want.method, want.network, want.layer,
                    progress=progress, cancelled=cancelled,
                )  # fmt: skip

        return explainer.keep(("map", key, want), make)

    return work


def _work_of_test(  # type: ignore[no-untyped-def]
    chosen: Chosen, want: Wanted, explanation: Explanation
):
    explainer, crop, key = layer_picker.explainer(), chosen.crop, chosen.key
    estimates = _estimates()
    name = (explanation.method, explanation.network, explanation.layers)

    def work(progress: ProgressCallback, cancelled: CancelCallback) -> Faithfulness:
        def make() -> Faithfulness:
            with _Turn(cancelled):
                seconds = explainer.seconds_a_pass(want.network) * PASSES_OF_A_TEST
                estimates[(key, want, "test")] = (time.monotonic(), seconds)
                return faithfulness(
                    explainer, crop, explanation, progress=progress, cancelled=cancelled
                )

        return explainer.keep(("test", key, name), make)

    return work


class _Turn:
    """Waits for this process's one place, and gives up where the task is cancelled."""

    def __init__(self, cancelled: CancelCallback) -> None:
        self._cancelled = cancelled

    def __enter__(self) -> None:
        while not _SLOT.acquire(timeout=0.2):
            if self._cancelled():
                raise Cancelled("Stopped before it began.")

    def __exit__(self, *_: object) -> None:
        _SLOT.release()


def _card(chosen: Chosen, want: Wanted, test: bool) -> None:
    tasks = _tasks()
    task = tasks[(chosen.key, want, "map")]
    with st.container(border=True, key=f"map-{want.method}-{want.network}"):
        st.subheader(want.title, anchor=False)
        st.caption(METHODS[want.method].question)
        if not task.finished:
            _waiting(task, "Making the map", (chosen.key, want, "map"))
            return
        if task.result is None:
            _stopped(task, (chosen.key, want, "map"))
            return
        explanation: Explanation = task.result
        picture, facts = st.columns([2, 3], gap="medium")
        overlay = explanation.overlay(chosen.crop)
        with picture:
            st.image(overlay, width="stretch", alt=f"{want.title} over the face",
                     caption=chosen.caption)  # fmt: skip
            scale = explanation.scale()
            st.image(colour_bar(scale, 480, 12), width="stretch", alt="Colour scale")
            st.caption(
                f"Blue (left, {scale.low:.2g}) lowers the logit for manipulation, red (right, "
                f"+{scale.high:.2g}) raises it"
                + ("." if METHODS[want.method].additive else "; without a unit.")
            )
        with facts:
            _facts(explanation)
            stem = (
                f"veriframe-{want.method}-{want.network}-{chosen.analysis.clip.sha256[:8]}"
                f"-frame{chosen.frame.index}-face{chosen.face.track}"
            )
            with st.container(horizontal=True):
                st.download_button("Picture (PNG)", png_bytes(overlay), f"{stem}.png",
                                   "image/png", on_click="ignore", icon=":material/image:",
                                   key=f"png-{stem}-{want.layer}")  # fmt: skip
                st.download_button("Values (NPZ)", explanation.npz(chosen.crop), f"{stem}.npz",
                                   "application/octet-stream", on_click="ignore",
                                   icon=":material/data_array:",
                                   key=f"npz-{stem}-{want.layer}")  # fmt: skip
            if test:
                _test(chosen, want)


def _facts(explanation: Explanation) -> None:
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


def _test(chosen: Chosen, want: Wanted) -> None:
    key = (chosen.key, want, "test")
    task = _tasks().get(key)
    if task is None:
        return
    st.markdown("**Is this map faithful?**")
    if not task.finished:
        _waiting(task, "Blurring parts away", key)
        return
    if task.result is None:
        _stopped(task, key)
        return
    found: Faithfulness = task.result
    st.markdown(plain(found.sentence))
    st.plotly_chart(
        deletion_curve(found),
        key=f"curve-{want.method}-{want.network}-{want.layer}",
        config={"displayModeBar": False},
        alt="Logit while the marked parts are blurred away, against random orders",
    )
    if found.unexplained is not None:
        st.caption(
            f"Infidelity {found.infidelity:.3g}: sums over the map leave "
            f"{min(found.unexplained, 9.99):.0%} of the logit's changes unexplained."
        )


def _waiting(task: Task[float, Any], doing: str, key: tuple) -> None:
    begun, share = _estimates().get(key), min(max(task.progress, 0.0), 1.0)
    if begun is None:
        left = ", waiting for its turn"
    else:
        elapsed = time.monotonic() - begun[0]
        # What it has taken so far tells more than the estimate, once some of it is done.
        whole = elapsed / share if share > 0.1 else max(begun[1], elapsed)
        left = f", about {clock(whole - elapsed)} left" if whole > QUICK else ""
    st.progress(share, f"{doing}{left}")
    name = "-".join(str(part) for part in (key[1].method, key[1].network, key[2]))
    st.button("Stop", key=f"stop-{name}", on_click=task.cancel, icon=":material/stop_circle:")


def _stopped(task: Task[float, Any], key: tuple) -> None:
    if task.error:
        st.error(plain(task.error), icon=":material/error:")
    else:
        st.info("Stopped.", icon=":material/cancel:")
    name = "-".join(str(part) for part in (key[1].method, key[1].network, key[2]))
    st.button("Start again", key=f"again-{name}", on_click=_forget, args=(key,),
              icon=":material/replay:")  # fmt: skip


def _forget(key: tuple) -> None:
    _tasks().pop(key, None)

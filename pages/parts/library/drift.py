"""Drift: do the library's recent clips look like those the error rates were measured on?"""

from __future__ import annotations

import datetime

import streamlit as st

from detector.errors import EvaluationError, ModelError
from detector.evaluation.drift import MEASURES, Shift, recent_faces, shifts
from detector.evaluation.model_card.card import stale
from detector.evaluation.result import MODEL_CARD, Evaluation, read
from detector.figures.drift import psi_chart, shares_chart
from detector.library.store import Library
from detector.models.spec import read_ensemble
from pages.parts.text import plain

PERIODS = {"Last 7 days": 7, "Last 30 days": 30, "Last year": 365, "All": None}


def offer(library: Library) -> None:
    """Draw a section that compares only once it is opened."""
    with st.expander(
        "Drift", icon=":material/trending_down:", key="drift", on_change="rerun"
    ) as section:
        if section.open:
            _show(library)


def _show(library: Library) -> None:
    st.markdown(
        "Error rates hold for clips like those they were measured on. Here, faces of recent "
        "analyses are compared with the reference in the model card (face level): where they "
        "differ much, do not rely on the error rates."
    )
    period = st.segmented_control(
        "Analyses of",
        list(PERIODS),
        default="Last 30 days",
        key="drift_period",
        required=True,
        persist_state="session",
    )
    try:
        reference = read(Evaluation, MODEL_CARD / "evaluation.json")
        reason = stale(reference.run, read_ensemble())
    except (EvaluationError, ModelError) as error:
        st.info(plain(str(error)), icon=":material/hourglass_empty:")
        return
    if reason is not None:
        st.info(
            f"The model card's evaluation is {reason}; `python -m detector evaluate` measures "
            "a reference.",
            icon=":material/hourglass_empty:",
        )
        return
    days = PERIODS[period]
    now = datetime.datetime.now(datetime.UTC)
    since = None if days is None else now - datetime.timedelta(days=days)
    recent = recent_faces(library, reference.run, since)
    found = shifts(reference.reference, recent)
    if not found:
        st.info(
            "No analysis of that time holds faces that the present models scored.",
            icon=":material/search_off:",
        )
        return
    st.markdown("\n".join(f"- {plain(one.sentence)}" for one in found))
    st.plotly_chart(
        psi_chart(found),
        key="drift-psi",
        config={"displayModeBar": False},
        alt="Population stability index of each measure",
    )
    _details(found)
    st.caption(_of(found[0], recent.other))


def _details(found: tuple[Shift, ...]) -> None:
    chosen = st.selectbox(
        "Look closer at",
        [one.name for one in found],
        key="drift_measure",
        width=320,
        format_func=lambda name: MEASURES[name][0],
    )
    one = next((one for one in found if one.name == chosen), found[0])
    with st.container(horizontal=True):
        st.metric(
            "PSI",
            f"{one.psi:.3f}",
            width="content",
            help=f"Below 0.1 stable, from 0.25 a large shift; chance alone stays below "
            f"{one.chance:.3f} in 95 of 100 samples of so many clips.",
        )
        st.metric(
            "KS",
            f"{one.ks:.3f}",
            width="content",
            help=f"Largest gap between the two distributions; p = {one.p:.3f}, as if each "
            "clip counted once.",
        )
        st.metric("Median", f"{one.recent:.4g}", width="content")
        st.metric("Median of the reference", f"{one.reference:.4g}", width="content")
    st.plotly_chart(
        shares_chart(one),
        key=f"drift-{one.name}",
        config={"displayModeBar": False},
        alt="Recent faces in the tenths of the reference",
    )


def _of(one: Shift, other: int) -> str:
    left = f" {other:,} analyses of other models are left out." if other else ""
    return (
        f"{one.faces:,} faces of {one.clips:,} analyses; the newest 100,000 at most.{left} "
        "`python -m detector drift --data FOLDER` also measures a labelled folder again."
    )

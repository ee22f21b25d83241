"""The model card, section by section."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from detector.evaluation.estimates import number
from detector.evaluation.model_card import tables
from detector.evaluation.model_card.card import ModelCard, gather, to_json
from detector.evaluation.model_card.text import INTENDED, LICENCES, MISUSE, NO_GROUPS, NOT_COVERED
from detector.evaluation.result import MODEL_CARD, Evaluation
from detector.figures import model_card as figures
from detector.files import MODELS
from pages.parts.text import plain

_WIDE = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d"]}


@st.cache_data(max_entries=4, show_spinner="Reading the model card…")
def _gathered(folder: Path, models: Path, changed: tuple[tuple[str, int], ...]) -> ModelCard:
    return gather(folder, models)


def current() -> ModelCard:
    """Return the installed models' card, read again where a file has changed; raises ModelError."""
    folder, models = MODEL_CARD, MODELS
    files = [*folder.glob("*.json"), *models.glob("*.json")]
    changed = tuple(sorted((str(file), file.stat().st_mtime_ns) for file in files))
    return _gathered(folder, models, changed)


def show(card: ModelCard) -> None:
    """Draw the summary, then the details in tabs."""
    with st.container(border=True):
        st.subheader("In plain language", anchor=False)
        said = tables.summary(card)
        if said:
            _list(said)
        else:
            st.markdown("Nothing was measured of the installed models yet.")
        for sentence in card.missing:
            st.warning(plain(sentence), icon=":material/hourglass_empty:")
        _downloads(card)
    _purpose()
    sections: dict[str, Callable[[ModelCard], None]] = {
        "Error rates": _errors,
        "Bands and calibration": _calibration,
        "After re-encoding": _robustness,
        "When it does not judge": _abstention,
        "Known failures": _failures,
        "Training": _training,
        "Versions": _versions,
    }
    for tab, section in zip(st.tabs(list(sections)), sections.values(), strict=True):
        with tab:
            section(card)


def _downloads(card: ModelCard) -> None:
    with st.container(horizontal=True, gap="small"):
        st.download_button(
            "Download model card (Markdown)",
            lambda: tables.to_markdown(card),
            file_name="veriframe-model-card.md",
            mime="text/markdown",
            key="card-md",
            icon=":material/description:",
            on_click="ignore",
        )
        st.download_button(
            "Download model card (JSON)",
            lambda: to_json(card),
            file_name="veriframe-model-card.json",
            mime="application/json",
            key="card-json",
            icon=":material/data_object:",
            on_click="ignore",
        )


def _purpose() -> None:
    columns = st.columns(3, gap="medium")
    for column, title, lines in zip(
        columns,
        ("Intended use", "Misuse", "What it does not cover"),
        (INTENDED, MISUSE, NOT_COVERED),
        strict=True,
    ):
        with column.container(border=True, height="stretch"):
            st.subheader(title, anchor=False)
            st.markdown("\n".join(f"- {line}" for line in lines))


def _errors(card: ModelCard) -> None:
    found = card.evaluation
    if found is None:
        _not_there("error rates")
        return
    _what(found.run)
    with st.container(horizontal=True):
        for title, estimate in (
            ("AUC", found.clip.auc),
            ("Average precision", found.clip.average_precision),
            ("Accuracy", found.clip.accuracy),
            ("Equal error rate", found.clip.eer),
        ):
            st.metric(
                f"{title}, clip level",
                number(estimate),
                border=True,
                width=260,
                help="With its 95 % interval",
            )
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**ROC curve** (clip level)")
        _chart(figures.roc_chart(found.roc), "card-roc", "ROC curves of ensemble and networks")
    with right:
        st.markdown("**Precision and recall** (clip level)")
        total = max(found.clip.real + found.clip.manipulated, 1)
        share = found.clip.manipulated / total
        _chart(
            figures.precision_recall_chart(found.precision_recall, share),
            "card-precision",
            "Precision against recall of ensemble and networks",
        )
    st.markdown("**All metrics**, with 95 % intervals")
    _table(tables.metric_rows(found), "Metrics of ensemble and networks")
    st.markdown("**By data set** (clip level)")
    _table(tables.group_rows(found.by_set, "Data set"), "Error rates by data set")
    st.markdown(
        "**By method of manipulation** (clip level), against the unaltered clips of the same sets"
    )
    _table(tables.group_rows(found.by_method, "Method"), "Error rates by method")
    st.markdown("**By skin tone, age group or sex**")
    _groups(card.groups)
    _notes(found.notes)


def _groups(groups: Evaluation | None) -> None:
    if groups is None:
        st.info(NO_GROUPS, icon=":material/diversity_3:")
        return
    _what(groups.run)
    _table(tables.group_rows(groups.by_set, "Group"), "Error rates by group of people, clip level")
    _notes(groups.notes)


def _calibration(card: ModelCard) -> None:
    st.markdown("**Bands**: where each starts, and how many unaltered clips reach it (clip level)")
    _table(tables.band_rows(card), "The bands' limits and their false-positive rates")
    found = card.calibration
    if found is None:
        st.caption(plain(card.note))
        return
    _list(tables.calibration_sentences(card))
    quality = found.reported or found.fitted
    st.markdown(f"**Reliability** on the split {plain(quality.split)} (clip level)")
    with st.container(horizontal=True):
        st.metric("ECE before", number(quality.ece_before), border=True, width=260)
        st.metric("ECE after", number(quality.ece_after), border=True, width=260)
    _chart(
        figures.reliability_chart(
            {"Before": quality.reliability_before, "After": quality.reliability_after}
        ),
        "card-reliability",
        "Share that is manipulated against the score, before and after calibration",
    )
    st.caption("On the dashed line, a score of 0.7 would mean that 70 in 100 are manipulated.")


def _robustness(card: ModelCard) -> None:
    found = card.robustness
    if found is None:
        _not_there("numbers after re-encoding")
        return
    _what(found.run)
    st.markdown("The same clips after each alteration, whether they would be judged or not.")
    _chart(
        figures.robustness_chart(found.variants),
        "card-robustness",
        "Unaltered and manipulated clips with some evidence or more, by alteration",
    )
    _table(tables.robustness_rows(found.variants), "Error rates by alteration, clip level")
    _notes(found.notes)


def _abstention(card: ModelCard) -> None:
    found = card.abstention
    if found is None:
        _not_there("numbers on abstaining")
        return
    _what(found.run)
    _list(rule.sentence for rule in found.rules)
    st.markdown(
        "**Errors against the share that is judged** (clip level), all alterations together"
    )
    _chart(figures.risk_chart(found.curves), "card-risk", "Risk against coverage")
    _table(tables.abstention_rows(card), "What not judging does, by alteration, clip level")
    _notes(found.notes)


def _failures(card: ModelCard) -> None:
    found = card.failures
    if found is None:
        _not_there("known failures")
        return
    st.markdown(
        f"The shipped samples and portraits after {len(found.alterations)} ways of re-encoding "
        f"({plain(', '.join(found.alterations))}): {found.unaltered} unaltered and "
        f"{found.manipulated} blended variants were judged "
        f"(clip level, {found.run.frames} frames of each), {found.abstained} were not judged. "
        "Here are those on the wrong side of some evidence. You can see the unaltered files on "
        "“Check a clip”."
    )
    rows = tables.failure_rows(card)
    if rows:
        _table(rows, "Shipped samples on the wrong side, clip level")
    else:
        st.info("None of those judged is on the wrong side.", icon=":material/task_alt:")
    if not found.manipulated:
        st.warning(
            "No blended variant was judged, so nothing is known here of what would be missed.",
            icon=":material/visibility_off:",
        )


def _training(card: ModelCard) -> None:
    st.markdown("\n".join(f"- {line}" for line in LICENCES))
    for row in tables.network_rows(card):
        with st.container(border=True):
            st.markdown(f"**{plain(row['Network'])} {plain(row['Version'])}**")
            _list(f"{name}: {row[name]}" for name in ("Trained on", "How", "From", "Date", "Input"))
    st.page_link("pages/training.py", label="Curves of the training", icon=":material/show_chart:")


def _versions(card: ModelCard) -> None:
    calibrated = "calibrated" if card.calibrated else "not calibrated"
    st.markdown(
        f"Veriframe {plain(card.software)}, ensemble {plain(card.ensemble)}, {calibrated}; a "
        f"track's frames are joined by their {plain(card.aggregation)}."
    )
    for row in tables.network_rows(card):
        st.markdown(
            f"**{plain(row['Network'])} {plain(row['Version'])}**, weight {row['Weight']}, "
            f"temperature {row['Temperature']}"
        )
        st.code(
            f"float16 weights  {row['SHA-256']}\nint8 model       {row['SHA-256, int8']}",
            language=None,
            wrap_lines=True,
        )
    if card.int8 is not None:
        st.markdown("**8-bit models** (frame level)")
        st.markdown(plain(tables.int8_sentence(card)))
        _table(tables.int8_rows(card), "float32 against int8")
    st.markdown("**On what each part was measured**")
    _table(tables.measured_rows(card), "Data, backend and version of each measurement")


def _what(run: Any) -> None:
    """Say on what and with what the numbers below were measured."""
    data = run.data
    st.caption(
        plain(
            f"{data.name}, split {data.split}: {data.real:,} unaltered and {data.manipulated:,} "
            f"manipulated clips, {run.frames} frame{'s' * (run.frames != 1)} of each; "
            f"{run.backend}, {run.precision}; {run.resamples:,} bootstrap resamples by source video"
        )
    )


def _not_there(what: str) -> None:
    st.info(
        f"There are no {what} of the installed models; the note at the top of the page says "
        "which command measures them.",
        icon=":material/hourglass_empty:",
    )


def _chart(figure: Any, key: str, alt: str) -> None:
    st.plotly_chart(figure, key=key, config=_WIDE, alt=alt)


def _table(rows: Sequence[dict[str, str]], alt: str) -> None:
    if rows:
        st.dataframe(rows, hide_index=True, alt=alt)


def _list(lines: Iterable[str]) -> None:
    st.markdown("\n".join(f"- {plain(line)}" for line in lines))


def _notes(notes: Sequence[str]) -> None:
    if notes:
        st.caption("  \n".join(plain(note) for note in notes))

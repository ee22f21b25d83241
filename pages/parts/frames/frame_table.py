"""Faces in frames as a table, a row for each."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from detector.library.types import FrameRow, Page
from detector.models.networks.registry import NETWORKS
from detector.wording import clock
from pages.parts.frames.analysis_picker import BrowsedAnalyses

RowKey = tuple[int, int, int]  # number of the analysis, index of the frame, track (0: no face)


def row_key(row: FrameRow) -> RowKey:
    """Return what tells a row from all others."""
    return row.analysis, row.index, row.track or 0


def show(
    browsed: BrowsedAnalyses,
    found: Page[FrameRow],
    chosen: FrameRow,
    choose: Callable[[RowKey], None],
) -> None:
    """Draw one page of rows.

    Args:
        browsed: where they are from.
        found: the page.
        chosen: the row that is selected.
        choose: called with the row that a person clicks.
    """
    state = st.session_state
    keys = [row_key(row) for row in found.items]
    pictures = browsed.library.thumbnails([row_key(row) for row in found.items if row.track])
    table = pd.DataFrame([_cells(row, pictures) for row in found.items])
    if browsed.single is not None:
        table = table.drop(columns="Clip")
    key = f"frames-table-{state.frames_turn}-{found.number}"

    def picked() -> None:
        selection = state[key].selection
        rows = [row for row, _ in selection.cells] or list(selection.rows)
        if rows:
            choose(keys[rows[0]])

    selected = keys.index(row_key(chosen))
    state[key] = {"selection": {"rows": [selected], "columns": [], "cells": []}}
    st.dataframe(
        table,
        key=key,
        on_select=picked,
        selection_mode=["single-row-required", "single-cell"],
        hide_index=True,
        row_height=44,
        height=560,
        placeholder="–",
        alt="Scores of the faces in the frames that match",
        column_config=_columns(),
    )
    st.caption(
        "Click a row to see its frame. “Order” sorts all pages; a column's heading sorts this one."
    )


def _cells(row: FrameRow, pictures: Mapping[RowKey, bytes]) -> dict[str, Any]:
    picture = pictures.get(row_key(row))
    logits = row.logits or {}
    return {
        "": None if picture is None else _data_url(picture),
        "Clip": row.clip,
        "Time": clock(row.time),
        "Frame": row.index,
        "Face": row.track,
        "Score": row.score,
        **{f"{network.title} logit": logits.get(name) for name, network in NETWORKS.items()},
        "Disagree": row.disagree,
        "Size": row.size,
        "Sharpness": row.sharpness,
        "Brightness": row.brightness,
        "Counted": row.usable,
        "Certainty": row.detection_score,
    }


def _columns() -> dict[str, Any]:
    number = st.column_config.NumberColumn
    logit = "Logit of this network before calibration; above 0 means manipulated."
    return {
        "": st.column_config.ImageColumn(width=50, pinned=True),
        "Clip": st.column_config.TextColumn(width="medium"),
        "Score": st.column_config.ProgressColumn(
            format="%.2f",
            min_value=0,
            max_value=1,
            width=110,
            help="Ensemble, calibrated; 0 to 1.",
        ),
        "Face": number(format="%d"),
        **{
            f"{network.title} logit": number(format="%+.2f", help=logit)
            for network in NETWORKS.values()
        },
        "Disagree": st.column_config.CheckboxColumn(
            help="The networks are on different sides of 0 after calibration."
        ),
        "Size": number(format="%.0f px"),
        "Sharpness": number(format="%.0f"),
        "Brightness": number(format="%.0f"),
        "Counted": st.column_config.CheckboxColumn(
            help="Large and bright enough to count in the finding."
        ),
        "Certainty": number(format="%.2f", help="That this is a face at all; 0 to 1."),
    }


def _data_url(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()

"""A result as files to hand over, made when they are asked for."""

from __future__ import annotations

import streamlit as st

from detector.media.provenance.facts import Provenance
from detector.pictures.protocols import DisplayPictures
from detector.report import export, tables
from detector.report.heat_maps import heat_maps
from detector.result import Analysis

_FORMS = (
    ("pdf", "Report (PDF)", "application/pdf", ":material/picture_as_pdf:",
     "To print or send: the finding, the timeline, the strongest frames with heat maps, the "
     "method, the limits, and what it takes to check it again. Takes some seconds."),
    ("json", "Result (JSON)", "application/json", ":material/data_object:",
     "Complete: every score, setting and hash, so that others can check it again with "
     "“python -m detector verify”."),
    ("csv", "Scores (CSV)", "text/csv", ":material/table:",
     "One line for each face in each frame, for a spreadsheet."),
    ("parquet", "Scores (Parquet)", "application/vnd.apache.parquet", ":material/table_chart:",
     "One row for each face in each frame, for pandas, R or DuckDB."),
)  # fmt: skip


def show(analysis: Analysis, pictures: DisplayPictures, provenance: Provenance | None) -> None:
    """Draw a button for each form."""
    makers = {
        "pdf": lambda: export.to_pdf(analysis, pictures, heat_maps(analysis, pictures), provenance),
        "json": lambda: export.to_json(analysis),
        "csv": lambda: tables.to_csv(analysis),
        "parquet": lambda: tables.to_parquet(analysis),
    }
    with st.container(horizontal=True, gap="small", key="downloads"):
        for form, label, mime, icon, about in _FORMS:
            st.download_button(
                label,
                makers[form],
                file_name=export.file_name(analysis, form),
                mime=mime,
                icon=icon,
                help=about,
                on_click="ignore",
                key=f"download-{form}",
            )

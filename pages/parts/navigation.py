"""The pages of the app, and what makes each of them run inside `app.py`."""

from __future__ import annotations

# Whole, before any page draws: Plotly looks for pandas in the middle of another tab's import.
import pandas  # noqa: F401
import streamlit as st

from detector.models.networks.registry import NETWORKS
from pages.parts import about, login

PAGES = (
    (
        "pages/check.py",
        "Check a clip",
        ":material/video_search:",
        "Upload a clip and read, frame by frame, how much evidence of face manipulation the "
        "networks find in it.",
    ),
    (
        "pages/frames.py",
        "Frames",
        ":material/view_comfy:",
        "All scored faces as a table or a grid, to sort and filter; the chosen one large in its "
        "frame.",
    ),
    (
        "pages/library.py",
        "Library",
        ":material/inventory_2:",
        "Analyses that were kept: search, filter and compare them, add tags and notes, scan whole "
        "folders.",
    ),
    (
        "pages/feature_maps.py",
        "Feature maps",
        ":material/grid_on:",
        f"What each layer of {' and '.join(network.title for network in NETWORKS.values())} makes "
        "of a face: for teaching, and to compare two faces.",
    ),
    (
        "pages/attributions.py",
        "Attributions",
        ":material/center_focus_strong:",
        "Which parts of a face raise or lower the score: four methods side by side, each tested "
        "for faithfulness.",
    ),
    (
        "pages/training.py",
        "Training",
        ":material/model_training:",
        "How the networks learned: curves by epoch, cross-validation, and tuning trials.",
    ),
    (
        "pages/model_card.py",
        "Model card",
        ":material/fact_check:",
        "What the networks are for, how often they are wrong on which data, and their known "
        "failures.",
    ),
)


def configure() -> None:
    """Set the title and icon of the browser's tab."""
    # An image of our own: Streamlit would fetch a Material icon for the tab from Google's servers.
    st.set_page_config(
        page_title="Veriframe",
        page_icon="assets/logo_icon.svg",
        layout="wide",
        menu_items={"About": about.text()},
    )


def show_menu() -> st.Page:
    """Draw the menu; return the page that is asked for, ready to run. Stop where a login is due."""
    st.session_state.framed = True
    page = st.navigation(
        [
            st.Page(path, title=title, icon=icon, help=about, default=place == 0)
            for place, (path, title, icon, about) in enumerate(PAGES)
        ],
        position="sidebar" if login.is_allowed() else "hidden",
    )
    login.require()
    return page


def require() -> None:
    """Run the page inside `app.py` where Streamlit started it alone; every page calls this first.

    Until one session has called `st.navigation`, a link straight to a page of a fresh server
    makes Streamlit run the file in `pages/` by itself, without the frame around it.
    """
    if "framed" not in st.session_state:
        configure()
        show_menu()
        st.rerun()
    login.require()

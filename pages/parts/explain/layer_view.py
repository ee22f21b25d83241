"""One layer: a grid of its filters, and one filter large over the face."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from detector.explanation.feature_maps import FeatureMaps
from detector.explanation.heatmaps import OPACITY, colour, colour_bar, enlarge, png_bytes, tiles
from pages.parts.explain import layer_picker
from pages.parts.explain.face_picker import PickedFace

PAGE = 24  # filters shown at once


def show(face: PickedFace, asked: dict[str, str]) -> None:
    """Show one layer."""
    picture, controls = st.columns([1, 3], gap="medium")
    with controls:
        network = layer_picker.pick_network()
        found = layer_picker.pick_layer(network, asked)
    with picture:
        st.image(
            face.crop, width="stretch", alt="The face that the network sees", caption="What goes in"
        )
    maps = layer_picker.feature_maps(face, found)
    with st.container(border=True):
        layer_picker.describe_layer(found)
    _grid(maps, face)
    _large(maps, face)


def _order(maps: FeatureMaps) -> list[int]:
    """Show the widget that orders filters; return their numbers in that order."""
    by = st.segmented_control(
        "Order",
        ["Most active first", "By number"],
        default="Most active first",
        key="order",
        bind="query-params",
    )
    return list(range(len(maps.maps))) if by == "By number" else list(maps.most_active())


def _grid(maps: FeatureMaps, face: PickedFace) -> None:
    """Show a page of filters, and what can be downloaded."""
    st.subheader("Filters", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        order = _order(maps)
        common = (
            st.segmented_control(
                "Colours",
                ["Common scale", "Own scale"],
                default="Common scale",
                key="scale",
                bind="query-params",
                help="With a common scale, weak filters look weak. With an own scale for each, "
                "every pattern can be seen.",
            )
            != "Own scale"
        )
        pages = -(-len(order) // PAGE)
        page = st.pagination(pages, key=f"page-{maps.layer.address}") if pages > 1 else 1
    numbers = order[(page - 1) * PAGE : page * PAGE]
    scale = maps.scale()  # of the whole layer, so that pages compare
    statistics = maps.statistics
    with st.container(horizontal=True, gap="small", key="filters"):
        for number in numbers:
            with st.container(width=116, gap=None):
                picture = colour(maps.map(number), scale if common else maps.scale([number]))
                st.image(
                    enlarge(picture, 116, smooth=False),
                    width=116,
                    alt=f"Feature map of filter {number}",
                )
                st.button(
                    f"{number} · {statistics.active[number]:.0%}",
                    key=f"filter-{maps.layer.address}-{number}",
                    type="tertiary",
                    on_click=_pick,
                    args=(number,),
                    help=f"Show filter {number} large. It answers at "
                    f"{statistics.active[number]:.0%} of the positions.",
                )
    if common:
        st.image(
            colour_bar(scale, 480, 12),
            width=360,
            alt="Colour scale",
            caption=f"{scale.low:.2f} (left) to {scale.high:.2f} (right)",
        )
    sheet = tiles(maps.images(numbers, common), 6, 116)
    stem = layer_picker.file_stem(maps.layer, face)
    with st.container(horizontal=True):
        st.download_button(
            "This grid (PNG)",
            png_bytes(sheet),
            f"{stem}.png",
            "image/png",
            icon=":material/image:",
            on_click="ignore",
        )
        st.download_button(
            "All maps (NPZ)",
            maps.npz,
            f"{stem}.npz",
            "application/octet-stream",
            icon=":material/data_array:",
            on_click="ignore",
            help="For numpy.load: float32 [filters, height, width].",
        )


def _pick(number: int) -> None:
    """Show this filter large."""
    st.session_state.filter = number


def _large(maps: FeatureMaps, face: PickedFace) -> None:
    """Show one filter over the face, and how its values are distributed."""
    filters = len(maps.maps)
    state = st.session_state
    if state.get("filter") is not None and not 0 <= state.filter < filters:
        state.filter = maps.most_active(1)[0]
    st.subheader("One filter over the face", anchor=False)
    picture, facts = st.columns([1, 1], gap="medium")
    with facts:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            number = st.number_input(
                "Filter",
                0,
                filters - 1,
                maps.most_active(1)[0],
                key="filter",
                bind="query-params",
                width=140,
            )
            opacity = st.slider(
                "Opacity of the map",
                0.0,
                1.0,
                OPACITY,
                0.05,
                key="opacity",
                persist_state="session",
            )
        number = int(number)
        statistics = maps.statistics
        rank = maps.most_active().index(number) + 1
        with st.container(horizontal=True):
            st.metric("Mean", f"{statistics.mean[number]:.3f}", width="content")
            st.metric("Active positions", f"{statistics.active[number]:.0%}", width="content")
            st.metric("Rank by activity", f"{rank} of {filters:,}", width="content")
        st.caption(f"Address of this unit: `{maps.layer.address}/{number}`")
        counts, edges = maps.histogram(number)
        figure = go.Figure(
            go.Bar(
                x=(edges[:-1] + edges[1:]) / 2,
                y=counts,
                marker_color="#3b82c4",
                hovertemplate="%{x:.2f}: %{y} positions<extra></extra>",
            )
        )
        figure.update_layout(
            height=220,
            margin={"l": 8, "r": 8, "t": 8, "b": 8},
            bargap=0.05,
            xaxis_title="Value",
            yaxis_title="Positions",
        )
        st.plotly_chart(
            figure,
            key="distribution",
            config={"displayModeBar": False},
            alt=f"Distribution of the values of filter {number}",
        )
    with picture:
        st.image(
            maps.overlay(face.crop, number, opacity),
            width="stretch",
            caption=f"Filter {number}: bright where it answers",
            alt=f"Filter {number} over the face",
        )

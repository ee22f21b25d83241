"""The page "Frames", through Streamlit's own tester."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from detector.library.store import Library
from detector.library.types import FrameFilter
from tests.helpers.apptest import open_page, words
from tests.helpers.examples import Drawn, example


@pytest.fixture
def library(_own_data_folder: None) -> Iterator[Library]:
    with Library.open() as library:
        yield library


@pytest.fixture
def two(library: Library) -> tuple[int, int]:
    """An analysis with two faces in six frames (the last empty), and one with one face in four."""
    first = library.add(example("first.mp4"), Drawn())
    return first, library.add(example("second.mp4", seed=1, frames=4, faces=1), Drawn())


def table(app: AppTest) -> pd.DataFrame:
    assert not app.exception
    frame: pd.DataFrame = app.dataframe[0].value
    return frame


def test_an_empty_library_says_so() -> None:
    app = open_page("frames")
    assert "The library is empty" in words(app)
    assert [link.value for link in app.page_link] == ["Check a clip"]
    assert not app.warning
    assert "There is no analysis 3" in open_page("frames", analysis="3").warning[0].value


def test_without_a_choice_the_whole_library_is_browsed(two: tuple[int, int]) -> None:
    app = open_page("frames")
    assert "**15** rows" in words(app)
    assert set(table(app)["Clip"]) == {"first.mp4", "second.mp4"}


def test_one_analysis_by_its_number(two: tuple[int, int], library: Library) -> None:
    app = open_page("frames", analysis=str(two[0]))
    shown = table(app)
    assert "Clip" not in shown  # it is the same in every row
    expected = library.frames(FrameFilter(analyses=[two[0]])).items
    assert list(shown["Frame"]) == [row.index for row in expected]
    assert list(shown["Score"].dropna()) == [row.score for row in expected if row.score]
    assert shown[""].iloc[0].startswith("data:image/jpeg;base64,")
    assert app.query_params["analysis"] == str(two[0])
    assert "frame 0 at" in _caption(app)  # the first frame large
    links = {link.label: link.proto.query_string for link in app.page_link}
    assert links["Feature maps"] == f"analysis={two[0]}&frame=0.25+s&face=1"
    assert links["The whole analysis"] == f"analysis={two[0]}"


@pytest.mark.parametrize(
    ("state", "filter"),
    [
        ({"only_tracks": [2]}, {"tracks": [2]}),
        ({"only_score": (0.5, 1.0)}, {"score": (0.5, None)}),
        ({"only_score": (0.2, 0.6)}, {"score": (0.2, 0.6)}),
        ({"only_disagree": True}, {"disagree": True}),
        ({"only_quality": "Counted"}, {"usable": True}),
        ({"only_quality": "Not counted"}, {"usable": False}),
        ({"only_faces": "Without a face"}, {"faces": False}),
        ({"only_from": 1.0, "only_to": 2.0}, {"time": (1.0, 2.0)}),
        ({"only_size": 60}, {"size": (60, None)}),
        ({"only_sharpness": 250}, {"sharpness": (250, None)}),
        ({"only_brighter": 80, "only_darker": 120}, {"brightness": (80, 120)}),
    ],
    ids="-".join,
)
def test_filters(
    two: tuple[int, int], library: Library, state: dict[str, Any], filter: dict[str, Any]
) -> None:
    expected = library.frames(FrameFilter(analyses=[two[0]], **filter)).items
    app = open_page("frames", analysis=str(two[0]))
    for key, value in state.items():
        app.session_state[key] = value
    app.run()
    assert 0 < len(expected) < 11
    assert list(table(app)["Frame"]) == [row.index for row in expected]
    next(button for button in app.button if button.label == "Clear").click().run()
    assert len(table(app)) == 11


@pytest.mark.parametrize(
    ("order", "column", "falling"),
    [("Highest score first", "Score", True), ("Lowest score first", "Score", False),
     ("Xception highest first", "Xception logit", True), ("Largest face first", "Size", True),
     ("Darkest first", "Brightness", False)],
)  # fmt: skip
def test_orders(two: tuple[int, int], order: str, column: str, falling: bool) -> None:
    app = open_page("frames", analysis=f"{two[0]},{two[1]}")
    app.selectbox(key="frame_order").set_value(order).run()
    values = list(table(app)[column].dropna())
    assert len(values) == 13
    assert values == sorted(values, reverse=falling)


def test_orders_of_the_whole_library_are_those_that_have_an_index(two: tuple[int, int]) -> None:
    app = open_page("frames", analysis=str(two[0]))
    app.selectbox(key="frame_order").set_value("Largest face first").run()
    app.multiselect(key="browsed").set_value([]).run()
    assert not app.exception
    assert app.selectbox(key="frame_order").value == "In order"
    assert app.selectbox(key="frame_order").options == [
        "In order",
        "Highest score first",
        "Lowest score first",
    ]


def test_where_nothing_matches_one_sentence_says_so(two: tuple[int, int]) -> None:
    app = open_page("frames")
    app.session_state["only_size"] = 5000
    app.run()
    assert "No frame matches" in app.info[0].value
    assert not app.dataframe


def test_the_grid_and_the_neighbours(two: tuple[int, int]) -> None:
    app = open_page("frames", analysis=str(two[0]))
    app.segmented_control(key="frames_view").set_value("Grid").run()
    thumbs = [button for button in app.button if str(button.key).startswith("show-")]
    assert len(thumbs) == 11
    assert thumbs[-1].label.endswith("no face")
    assert "frame 0 at" in _caption(app)
    assert app.button(key="frame-previous").disabled
    thumbs[-1].click().run()
    assert "frame 50 at" in _caption(app)
    assert "No face was found in this frame" in words(app)
    assert app.button(key="frame-next").disabled
    app.button(key="frame-previous").click().run()
    assert "frame 40 at" in _caption(app)


def test_pages_are_turned_by_the_neighbours_too(library: Library) -> None:
    id = library.add(example("long.mp4", frames=60, faces=1), Drawn())
    app = open_page("frames", analysis=str(id))
    assert "page 1 of 2" in words(app)
    for _ in range(2):
        app.session_state["frame_chosen"] = (id, 490, 1)  # the last row of page 1
        app.run()
        app.button(key="frame-next").click().run()
        assert "page 2 of 2" in words(app)
        assert "frame 500 at" in _caption(app)
        app.button(key="frame-previous").click().run()
        assert "page 1 of 2" in words(app)
        assert "frame 490 at" in _caption(app)


def _caption(app: AppTest) -> str:
    return " ".join(caption for image in app.image for caption in image.captions)


@pytest.mark.parametrize("link", ["999", "abc", "9" * 40], ids=["gone", "text", "long"])
def test_a_link_to_nothing_gets_one_sentence(two: tuple[int, int], link: str) -> None:
    app = open_page("frames", analysis=link)
    assert len(app.warning) == 1
    assert "There is no analysis" in app.warning[0].value
    assert "**15** rows" in words(app)


def test_an_analysis_that_is_deleted_meanwhile(two: tuple[int, int], library: Library) -> None:
    app = open_page("frames", analysis=f"{two[0]},{two[1]}")
    library.delete([two[0]])
    app.run()
    assert not app.exception
    assert "There is no analysis" in app.warning[0].value
    assert set(table(app)["Frame"]) == {0, 10, 20, 30}


def test_what_is_filtered_can_be_downloaded(two: tuple[int, int]) -> None:
    one = open_page("frames", analysis=str(two[0]))
    several = open_page("frames", analysis=f"{two[0]},{two[1]}")
    for app in (one, several):
        labels = [button.label for button in app.get("download_button")]
        assert labels == ["CSV", "Parquet"]

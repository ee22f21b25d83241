"""The page "Library", through Streamlit's own tester."""

from __future__ import annotations

import datetime
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from detector.library.store import Library
from detector.library.types import NO_BAND, LibraryFilter
from tests.helpers.apptest import open_page, words
from tests.helpers.examples import Drawn, example

HOSTILE = "<img src=x onerror=alert(1)> [a](http://evil.test) **b**.mp4"


@pytest.fixture
def library(_own_data_folder: None) -> Iterator[Library]:
    """The library that the page opens, still empty."""
    with Library.open() as library:
        yield library


@pytest.fixture
def five(library: Library) -> dict[str, int]:
    """Five analyses that differ in all that can be filtered by, by name."""
    kinds: dict[str, dict[str, Any]] = {
        "strong.mp4": {"level": 4.0, "faces": 1, "duration": 3.0},
        "little.mp4": {"level": -4.0, "faces": 1, "duration": 60.0, "seed": 1},
        "many.mp4": {"level": -4.0, "faces": 3, "duration": 8.0, "seed": 2},
        "none.mp4": {"faces": 0, "duration": 9.0, "seed": 3},
        "old.mp4": {"level": -4.0, "faces": 1, "seed": 4, "version": "v9",
                    "created": "2029-02-03T04:05:06+00:00"},
    }  # fmt: skip
    ids = {
        name: library.add(example(name, frames=6, **kind), Drawn()) for name, kind in kinds.items()
    }
    library.set_tags([ids["little.mp4"]], ["election"])
    library.set_note(ids["many.mp4"], "from the press office")
    return ids


def names(app: AppTest) -> list[str]:
    """The clips on the page, in order."""
    labels = [button.label for button in app.button if str(button.key).startswith("open-")]
    return [label.strip("*").replace("\\", "") for label in labels]


def test_an_empty_library_says_so_and_shows_the_way() -> None:
    app = open_page("library")
    assert "The library is empty" in words(app)
    assert [link.value for link in app.page_link] == ["Check a clip"]


def test_the_list_shows_what_was_kept(five: dict[str, int]) -> None:
    app = open_page("library")
    assert names(app) == ["none.mp4", "many.mp4", "little.mp4", "strong.mp4", "old.mp4"]
    said = words(app)
    assert "**5** analyses" in said
    assert "ResNet50 v9, Xception v9" in said
    assert re.search(r"Strong evidence \(0\.9\d\)", said)
    assert "No face found" in said
    assert ":blue-badge[election]" in said
    assert "from the press office" in said
    assert "fake" not in said.lower()


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"library_text": "press MANY"}, ["many.mp4"]),
        ({"library_text": "election"}, ["little.mp4"]),
        ({"library_bands": ["strong"]}, ["strong.mp4"]),
        ({"library_bands": [NO_BAND]}, ["none.mp4"]),
        ({"library_fewest": 2}, ["many.mp4"]),
        ({"library_most": 0}, ["none.mp4"]),
        ({"library_shortest": 8.5, "library_longest": 10.0}, ["none.mp4"]),
        ({"library_models": ["resnet50 v9, xception v9"]}, ["old.mp4"]),
        ({"library_tags": ["election"]}, ["little.mp4"]),
        ({"library_dates": [datetime.date(2029, 2, 3), datetime.date(2029, 2, 3)]}, ["old.mp4"]),
        ({"library_order": "Oldest first", "library_bands": ["strong", "little"]},
         ["old.mp4", "strong.mp4", "little.mp4", "many.mp4"]),
        ({"library_order": "Name, A to Z"},
         ["little.mp4", "many.mp4", "none.mp4", "old.mp4", "strong.mp4"]),
        ({"library_order": "Longest first", "library_most": 1, "library_fewest": 1},
         ["little.mp4", "old.mp4", "strong.mp4"]),
    ],
    ids=["words", "tag-as-word", "band", "no-band", "many-faces", "no-faces", "length", "models",
         "tag", "date", "oldest", "by-name", "longest"],
)  # fmt: skip
def test_filters_and_orders(
    five: dict[str, int], state: dict[str, Any], expected: list[str]
) -> None:
    app = open_page("library")
    for key, value in state.items():
        app.session_state[key] = value
    app.run()
    assert not app.exception
    assert names(app) == expected


def test_where_nothing_matches_one_click_shows_everything(five: dict[str, int]) -> None:
    app = open_page("library")
    app.text_input(key="library_text").set_value("nothing like this").run()
    assert "No analysis matches" in app.info[0].value
    assert names(app) == []
    next(button for button in app.button if button.label == "Show everything").click().run()
    assert len(names(app)) == 5


def test_a_filter_of_zero_can_be_cleared(five: dict[str, int]) -> None:
    app = open_page("library")
    app.number_input(key="library_most").set_value(0).run()
    assert names(app) == ["none.mp4"]
    clear = next(button for button in app.button if button.label == "Clear")
    assert not clear.disabled
    clear.click().run()
    assert len(names(app)) == 5
    assert next(button for button in app.button if button.label == "Clear").disabled


def test_pages(library: Library) -> None:
    for number in range(45):
        kind = "press" if number % 10 == 1 else "x"
        library.add(example(f"{number:02}-{kind}.mp4", seed=number, frames=1, faces=1))
    app = open_page("library")
    app.selectbox(key="library_order").set_value("Name, A to Z").run()
    assert [name[:2] for name in names(app)] == [f"{number:02}" for number in range(20)]
    app.session_state["library_page"] = 3
    app.run()
    assert [name[:2] for name in names(app)] == ["40", "41", "42", "43", "44"]
    app.text_input(key="library_text").set_value("press").run()  # fewer: back to the first page
    assert [name[:2] for name in names(app)] == ["01", "11", "21", "31", "41"]
    app.text_input(key="library_text").set_value("").run()
    next(button for button in app.button if button.label == "Select all 45").click().run()
    assert "**45** selected" in words(app)


def test_select_tag_and_delete(five: dict[str, int], library: Library) -> None:
    app = open_page("library")
    chosen = [five["strong.mp4"], five["none.mp4"]]
    for id in chosen:
        app.checkbox(key=f"pick-{id}").check().run()
    assert "**2** selected" in words(app)
    app.text_input(key="bulk_tag").set_value("desk").run()
    next(button for button in app.button if button.label == "Add to all").click().run()
    assert library.ids(LibraryFilter(tags=["desk"])) == tuple(sorted(chosen))
    app.button(key="delete-selected").click().run()
    assert any("these 2 analyses" in element.value for element in app.markdown)
    app.button(key="delete-sure").click().run()
    assert not app.exception
    assert set(library.ids()) == set(five.values()) - set(chosen)
    assert library.thumbnail(chosen[0]) is None
    app.run()
    assert names(app) == ["many.mp4", "little.mp4", "old.mp4"]
    assert "selected" not in words(app)


def test_names_of_strangers_are_shown_as_they_are(library: Library) -> None:
    id = library.add(example(HOSTILE), Drawn())
    library.set_note(id, HOSTILE)
    library.set_tags([id], ["[x](http://evil.test)"])
    for app in (open_page("library"), open_page("library", analysis=str(id))):
        for text in [
            *(element.value for element in app.markdown),
            *(element.value for element in app.caption),
            *(element.value for element in app.subheader),
            *(button.label for button in app.button),
        ]:
            assert not re.search(r"(?<!\\)<img|(?<!\\)\]\(http|\*\*b\*\*", text)


def test_an_analysis_opens_by_its_number(five: dict[str, int], library: Library) -> None:
    id = five["strong.mp4"]
    app = open_page("library", analysis=str(id))
    said = words(app)
    assert "Strong evidence of manipulation" in said
    assert "The clip itself was not kept" in said
    assert {button.label for button in app.get("download_button")} >= {
        "Report (PDF)",
        "Result (JSON)",
        "Scores (CSV)",
        "Scores (Parquet)",
    }
    app.text_area(key=f"note-{id}").set_value("ask the agency").run()
    assert library.summary(id).note == "ask the agency"
    app.session_state[f"tags-{id}"] = ["agency"]
    app.multiselect(key=f"tags-{id}").set_value(["agency"]).run()
    assert not app.exception
    app.button(key="delete-one").click().run()
    app.button(key="delete-sure").click().run()
    assert id not in library.ids()
    app.run()
    assert "strong.mp4" not in names(app)
    assert len(names(app)) == 4


@pytest.mark.parametrize("link", ["999", "abc", "1,2", "-1", "9" * 40], ids=str)
def test_a_link_to_nothing_gets_one_sentence_and_the_way_back(
    five: dict[str, int], link: str
) -> None:
    app = open_page("library", analysis=link)
    assert len(app.error) == 1
    assert "There is no analysis" in app.error[0].value
    next(button for button in app.button if button.label == "All analyses").click().run()
    assert len(names(app)) == 5


def test_two_versions_of_one_clip_are_compared_face_by_face(library: Library) -> None:
    clip = "c" * 64
    ids = [
        library.add(example("one.mp4", seed=seed, clip=clip, version=version), Drawn())
        for seed, version in ((0, "v0"), (0, "v1"), (7, "v1"))
    ]
    app = open_page("library", compare=f"{ids[0]},{ids[2]}")
    said = words(app)
    assert "2 analyses compared" in said
    assert "Scored with different weights" in said
    assert [len(app.get("plotly_chart"))] == [4]  # timelines, two histograms, changes
    assert {metric.label for metric in app.metric} >= {"Faces in both", "Largest change"}
    assert app.metric[0].value == "10"
    same = open_page("library", compare=f"{ids[0]},{ids[1]}")
    assert "Every score is the same" in words(same)


@pytest.mark.parametrize(
    "link", ["1", "1,2,3,4,5", "", "a,b"], ids=["one", "five", "empty", "text"]
)
def test_only_two_to_four_can_be_compared(five: dict[str, int], link: str) -> None:
    app = open_page("library", compare=link)
    assert "Select two to 4 analyses" in app.info[0].value


@pytest.mark.parametrize(
    ("path", "sentence"),
    [("", "Write the path of a folder"), ("/no/such/folder", "is not a folder"),
     ("{empty}", "holds no clips")],
    ids=["nothing", "missing", "empty"],
)  # fmt: skip
def test_a_folder_that_cannot_be_scanned(path: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    app = open_page("library")
    app.text_input(key="scan_path").set_value(path.format(empty=tmp_path / "empty")).run()
    app.button(key="start-scan").click().run()
    assert not app.exception
    assert len(app.error) == 1
    assert sentence in app.error[0].value


def test_an_opened_analysis_is_what_feature_maps_show(
    five: dict[str, int], library: Library
) -> None:
    id = five["strong.mp4"]
    app = open_page("feature_maps", analysis=str(id))
    assert app.selectbox(key="clip").value == f"kept-{id}"
    assert "This is a small copy of the face" in words(app)
    library.delete([id])
    gone = open_page("feature_maps", analysis=str(id))
    assert "It may have been deleted" in gone.warning[0].value


def damaged(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")


def newer(path: Path) -> None:
    Library.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE veriframe_schema SET version_num = '9999'")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [(damaged, "is damaged or was never one"), (foreign, "belongs to another program"),
     (newer, "update Veriframe")],
    ids=["damaged", "foreign", "newer"],
)  # fmt: skip
@pytest.mark.parametrize("page", ["library", "frames"])
def test_a_library_that_cannot_be_used(make: Any, sentence: str, page: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    make(tmp_path / "data" / "library.sqlite")
    app = open_page(page)
    assert len(app.error) == 1
    assert sentence in app.error[0].value
    assert "Traceback" not in app.error[0].value
    assert [button.label for button in app.button][-1] == "Try again"
    assert [link.value for link in app.page_link] == ["Check a clip without it"]

"""The page "Model card", through Streamlit's own tester."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from detector.evaluation.model_card.text import INTENDED, NO_GROUPS
from detector.evaluation.result import Group, write
from pages.parts import model_card
from tests.evaluation.model_card.test_card import fill
from tests.helpers.apptest import open_page, words
from tests.helpers.measured import evaluation, metrics, run

TABS = ["Error rates", "Bands and calibration", "After re-encoding", "When it does not judge",
        "Known failures", "Training", "Versions"]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the page looks; nothing is in it yet."""
    place = tmp_path / "card"
    place.mkdir()
    monkeypatch.setattr(model_card, "MODEL_CARD", place)
    return place


def charts(app: AppTest) -> int:
    return len(app.get("plotly_chart"))


def test_with_all_files(folder: Path) -> None:
    fill(folder)
    app = open_page("model_card")
    said = words(app)
    assert [tab.label for tab in app.tabs] == TABS
    assert not app.warning
    assert "about 5 came out as" in said
    assert charts(app) == 5
    assert len(app.dataframe) >= 9
    assert [button.label for button in app.get("download_button")] == [
        "Download model card (Markdown)",
        "Download model card (JSON)",
    ]
    assert NO_GROUPS in said
    assert "A \\<b\\>note\\</b\\> of the evaluation" in said


def test_with_none(folder: Path) -> None:
    app = open_page("model_card")
    said = words(app)
    assert "Nothing was measured of the installed models yet." in said
    assert len(app.warning) == 5
    assert charts(app) == 1  # the calibration lies with the weights
    assert INTENDED[0] in said
    assert "There are no error rates of the installed models" in said


def test_with_stale_files(folder: Path) -> None:
    fill(folder)
    models = run().models
    old = (dataclasses.replace(models[0], sha256="0" * 64), models[1])
    write(evaluation(run=dataclasses.replace(run(), models=old)), folder / "evaluation.json")
    app = open_page("model_card")
    assert [warning.value for warning in app.warning] == [
        "evaluation\\.json is of other weights than those installed, so what it holds is left out "
        "here; \\`python \\-m detector evaluate DATA \\-\\-out "
        "assets/model\\_card/evaluation\\.json\\` writes it\\."
    ]
    assert "about 5 came out as" not in words(app)
    assert charts(app) == 3


def test_a_file_that_is_written_while_the_page_is_open_is_read(folder: Path) -> None:
    app = open_page("model_card")
    assert len(app.warning) == 5
    write(evaluation(), folder / "evaluation.json")
    app.run()
    assert len(app.warning) == 4


def test_groups_of_people_where_labels_exist(folder: Path) -> None:
    fill(folder)
    write(evaluation(by_set=(Group("skin tone 6", metrics()),)), folder / "groups.json")
    app = open_page("model_card")
    assert NO_GROUPS not in words(app)
    groups = [table.value for table in app.dataframe if "Group" in table.value.columns]
    assert list(groups[0]["Group"]) == ["skin tone 6"]


def test_without_weights_it_says_so(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(folder)
    monkeypatch.setattr(model_card, "MODELS", shutil.copytree(folder, tmp_path / "none"))
    app = open_page("model_card")
    assert "cannot be read" in app.error[0].value


def test_the_shipped_card() -> None:
    app: Any = open_page("model_card")
    assert "fake" not in words(app).lower().replace("deepfake detection challenge", "")

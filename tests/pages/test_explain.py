"""The pages Feature maps, Attributions and Training, through Streamlit's own tester."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.helpers.processes import ROOT

ORIGINAL = "Demonstration: the same portrait, unblended"


def opened(page: str, **parameters: str) -> AppTest:
    """The app on one of its pages, as a link opens it."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    app.run()
    for key, value in parameters.items():
        app.query_params[key.replace("__", "-")] = value
    app.switch_page(f"pages/{page}.py").run()
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    """Everything the page says."""
    said = [*app.markdown, *app.caption, *app.subheader, *app.warning, *app.error, *app.info]
    return "\n".join(str(element.value) for element in said)


@pytest.fixture(scope="module")
def maps() -> AppTest:
    return opened("feature_maps", clip=ORIGINAL)


@pytest.mark.parametrize(
    ("network", "number", "module"),
    [
        ("ResNet50", 1, "layer1.0.conv1"),
        ("ResNet50", 48, "layer4.2.conv3"),
        ("Xception", 1, "conv1"),
        ("Xception", 36, "conv4"),
    ],
    ids=["resnet50-1", "resnet50-48", "xception-1", "xception-36"],
)
def test_every_preset_shows_its_layer(
    maps: AppTest, network: str, number: int, module: str
) -> None:
    maps.segmented_control(key="network").set_value(network).run()
    maps.button(key=f"preset-{network.lower()}:{number}").click().run()
    assert not maps.exception
    assert f"`{module}`" in words(maps)
    shown = [button for button in maps.button if str(button.key).startswith("filter-")]
    assert len(shown) == 24


def test_a_filter_can_be_chosen_from_the_grid(maps: AppTest) -> None:
    last = [button for button in maps.button if str(button.key).startswith("filter-")][-1]
    last.click().run()
    number = int(str(last.key).rsplit("-", 1)[1])
    assert maps.number_input(key="filter").value == number
    assert f"/{number}`" in words(maps)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("resnet50:77", "There is no layer"),
        ("vgg:1", "There is no layer"),
        ("resnet50:dense1", "has no maps"),
    ],
    ids=["number", "network", "dense"],
)
def test_an_address_that_shows_no_maps_gets_one_sentence(
    maps: AppTest, address: str, sentence: str
) -> None:
    maps.text_input(key="address").set_value(address).run()
    assert not maps.exception
    assert sentence in maps.error[0].value


def test_an_address_is_found(maps: AppTest) -> None:
    maps.text_input(key="address").set_value("xception:18").run()
    assert not maps.error
    assert "`xception:18`" in words(maps)


@pytest.mark.parametrize(
    "parameters",
    [
        {"layer__resnet50": "99"},
        {"layer__resnet50": "<b>"},
        {"clip": "gone.mp4"},
        {"frame": "99.00 s"},
        {"view": "nothing"},
        {"filter": "-4"},
    ],
    ids=["layer", "markup", "clip", "frame", "view", "filter"],
)
def test_a_broken_link_opens_something_and_says_so(parameters: dict[str, str]) -> None:
    app = opened("feature_maps", **{"clip": ORIGINAL, **parameters})
    assert [subheader.value for subheader in app.subheader][:1] == ["Filters"]
    if set(parameters) & {"layer__resnet50", "clip", "frame"}:
        assert app.warning


def test_attributions_ask_for_a_choice() -> None:
    app = opened("attributions", clip=ORIGINAL)
    app.pills(key="methods").set_value([]).run()
    assert "Choose at least one method" in app.info[0].value


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ("One run", "What to read from it"),
        ("Compare runs", "Focal loss"),
        ("Folds", "Each part is held out"),
        ("Tuning", "Best trial"),
        ("Runs in progress", "No run is in progress"),
    ],
    ids=["one", "compare", "folds", "tuning", "progress"],
)
def test_training_shows_its_runs(
    view: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    app = opened("training", training=view)
    assert expected in words(app)
    assert "fake" not in words(app).lower()

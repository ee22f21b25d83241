"""Feature maps and Attributions as a teacher uses them: a real server and a real browser."""

from __future__ import annotations

import io
import re
from pathlib import Path
from urllib.parse import quote_plus

import numpy as np
from playwright.sync_api import Page, expect

from detector.explanation.explainer import Explainer
from detector.explanation.layers import layer
from tests.helpers.served import Server

ORIGINAL = "Demonstration: the same portrait, unblended"
BLENDED = "Demonstration: self-blended portrait"


def open_at(page: Page, server: Server, path: str, **parameters: str) -> None:
    """Open a page by its link."""
    query = "&".join(f"{key}={quote_plus(value)}" for key, value in parameters.items())
    page.goto(f"{server.url}/{path}?{query}")


def save(page: Page, button: str, folder: Path) -> Path:
    """Download what a button offers."""
    with page.expect_download() as started:
        page.get_by_role("button", name=button).first.click()
    target = folder / started.value.suggested_filename
    started.value.save_as(target)
    return target


def test_a_link_opens_the_same_view(page: Page, server: Server, tmp_path: Path) -> None:
    link = {"clip": BLENDED, "layer-resnet50": "1", "order": "By number", "filter": "7"}
    open_at(page, server, "feature_maps", **link)
    # Also on a fresh server the frame of the app is around the page.
    expect(page.get_by_role("link", name="Check a clip")).to_be_visible()
    expect(page.get_by_text("Address of this unit: resnet50:1/7")).to_be_visible()
    expect(page.locator(".st-key-filters img")).to_have_count(24)
    expect(page.get_by_text("layer1.0.conv1")).to_be_visible()

    saved = np.load(io.BytesIO(save(page, "All maps (NPZ)", tmp_path).read_bytes()))
    assert saved["address"] == "resnet50:1"
    assert saved["maps"].shape == layer("resnet50:1").shape
    assert saved["maps"].dtype == np.float32

    page.get_by_role("button", name="Layer 48", exact=True).click()
    expect(page.get_by_text("layer4.2.conv3")).to_be_visible()
    expect(page).to_have_url(re.compile("layer-resnet50=48"))
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    expect(page.get_by_text("layer4.2.conv3")).to_be_visible()


def test_a_layer_that_does_not_exist_gets_one_sentence(page: Page, server: Server) -> None:
    open_at(page, server, "feature_maps", **{"clip": ORIGINAL, "layer-resnet50": "99"})
    expect(page.get_by_text("There is no layer “99” in ResNet50")).to_be_visible()
    expect(page.get_by_text("layer3.0.conv3")).to_be_visible()  # and the way back
    field = page.get_by_role("textbox", name="Find by address")
    field.fill("resnet50:77")
    field.press("Enter")
    expect(page.get_by_text("ResNet50 has resnet50:0 to resnet50:48")).to_be_visible()
    field.fill("xception:36")
    field.press("Enter")
    expect(page.get_by_text("conv4")).to_be_visible()


def test_side_by_side_shows_where_two_faces_differ(page: Page, server: Server) -> None:
    open_at(page, server, "feature_maps", clip=ORIGINAL, view="Side by side", network="Xception")
    expect(page.get_by_text(re.compile("little evidence in this frame"))).to_be_visible()
    expect(page.get_by_text(re.compile("some evidence in this frame"))).to_be_visible()
    expect(page.get_by_text(re.compile(r"mean .* left, .* right"))).to_have_count(8)


def test_the_walk_ends_at_the_score_of_the_face(page: Page, server: Server) -> None:
    open_at(page, server, "feature_maps", clip=BLENDED, view="Walk to the score")
    titles = ["Layer 1", "Layer 24", "Layer 48", "Dense 1", "Dense 2", "Logit", "Score"]
    for title in titles:
        page.get_by_role("button", name="Next").click()
        expect(page.get_by_role("heading", name=title, exact=True)).to_be_visible()
    shown = float(page.locator("[data-testid=stMetricValue]").inner_text())
    assert 0 <= shown <= 1
    assert f"the score {shown:.2f}" in page.get_by_text("becomes the score").inner_text()
    expect(page.get_by_role("button", name="Next")).to_be_disabled()


def test_a_map_and_its_test_stand_side_by_side(page: Page, server: Server, tmp_path: Path) -> None:
    open_at(page, server, "attributions", clip=BLENDED, networks="ResNet50")
    card = page.locator(".st-key-map-grad-cam-resnet50")
    # The first map of a process waits for the networks to be loaded for explaining.
    expect(card.get_by_text("Is this map faithful?")).to_be_visible(timeout=240_000)
    expect(card.locator(".js-plotly-plot").first).to_be_visible(timeout=240_000)
    expect(card.get_by_text(re.compile("leaves a mean logit of|hardly moves"))).to_be_visible()
    expect(card.get_by_text("raises it; without a unit")).to_be_visible()

    saved = np.load(io.BytesIO(save(page, "Values (NPZ)", tmp_path).read_bytes()))
    again = Explainer.load().attribute(saved["crop"], "grad-cam", "resnet50")
    np.testing.assert_allclose(saved["map"], again.map, atol=1e-4)


def test_a_slow_method_shows_progress_and_stops(page: Page, server: Server) -> None:
    open_at(page, server, "attributions", clip=ORIGINAL, networks="Xception", methods="Occlusion")
    card = page.locator(".st-key-map-occlusion-xception")
    # Another tab's map may have to be finished first.
    expect(card.get_by_text(re.compile("Making the map, about .* left"))).to_be_visible(
        timeout=240_000
    )
    card.get_by_role("button", name="Stop").click()
    expect(card.get_by_text("Stopped.")).to_be_visible()
    expect(card.get_by_role("button", name="Start again")).to_be_visible()


def test_a_face_that_is_gone_leaves_a_way_back(page: Page, server: Server) -> None:
    open_at(page, server, "feature_maps", clip="Your clip: vanished.mp4", frame="9.99 s")
    expect(page.get_by_role("heading", name="Filters")).to_be_visible()
    expect(page.get_by_text("“Your clip: vanished.mp4” is not here")).to_be_visible()
    expect(page.get_by_text("“9.99 s” is not here")).to_be_visible()

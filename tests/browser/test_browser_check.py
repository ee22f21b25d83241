"""The page "Check a clip" as a person uses it: a real server, a real browser, real clips."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from detector.result import Analysis
from tests.helpers.served import ROOT, Server

SAMPLES = ROOT / "assets" / "samples"
TWO_FACES = SAMPLES / "grid_two_faces_lbbc2a_lbax4n.mp4"
ONE_FACE = SAMPLES / "grid_brbk7n.mp4"
POINT = ".st-key-timeline .scatterlayer .trace path.point"


def upload(page: Page, clip: Path) -> None:
    """Choose a file as a person does, through the file chooser."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Upload", exact=True).click()
    chooser.value.set_files(clip)


def moment(page: Page) -> str:
    """The caption below the frame that is shown."""
    return page.get_by_text(re.compile(r"^Frame \d+ at ")).inner_text()


def player_time(page: Page) -> float:
    return float(page.evaluate("document.querySelector('.st-key-player video').currentTime"))


@pytest.fixture(scope="module")
def finished(browser: Browser, server: Server) -> Page:
    """A tab in which the sample with two faces was uploaded and analysed."""
    context = browser.new_context(viewport={"width": 1280, "height": 2200})
    context.set_default_timeout(60_000)
    page = context.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.requests = requests  # type: ignore[attr-defined]
    page.goto(server.url)
    upload(page, TWO_FACES)
    expect(page.get_by_text(re.compile("^Analysing grid_two_faces"))).to_be_visible()
    expect(page.get_by_text(re.compile(r"Frame \d+ of 32"))).to_be_visible()
    expect(
        page.locator(".st-key-live .js-plotly-plot").first
    ).to_be_visible()  # scores while it runs
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(page.get_by_role("heading", name="Little evidence of manipulation")).to_be_visible()
    expect(page.locator(POINT).first).to_be_visible()
    return page


def download(page: Page, folder: Path) -> Analysis:
    with page.expect_download() as started:
        page.get_by_role("button", name="Result (JSON)").click()
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    assert re.fullmatch(r"[\w-]+-[0-9a-f]{8}-veriframe\.json", path.name)
    return Analysis.from_json(path.read_text())


def test_the_finding_is_read_in_words(finished: Page) -> None:
    card = finished.locator(".st-key-finding")
    expect(card).to_contain_text("2 faces were followed")
    expect(card).to_contain_text("with 95 % certainty")  # of how often unaltered clips reach a band
    expect(card).not_to_contain_text("Not yet calibrated")
    expect(card).not_to_contain_text("fake")


def test_a_click_on_the_timeline_shows_that_moment(finished: Page) -> None:
    points = finished.locator(POINT)
    assert points.count() == 64  # two faces in 32 frames
    for place, seconds in ((3, "0.32 s"), (20, "1.92 s")):
        box = points.nth(place).bounding_box()
        assert box is not None
        finished.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        expect(finished.get_by_text(re.compile(f"^Frame \\d+ at {seconds}"))).to_be_visible()
        finished.wait_for_function(
            "wanted => Math.abs(document.querySelector('.st-key-player video').currentTime"
            " - wanted) < 0.04",
            arg=float(seconds.split()[0]),
        )
    finished.get_by_role("button", name=re.compile(r"^0\.76 s · ")).first.click()
    expect(finished.get_by_text(re.compile(r"^Frame \d+ at 0\.76 s"))).to_be_visible()


def test_the_downloaded_result_is_what_the_command_line_says(
    finished: Page, tmp_path: Path
) -> None:
    result = download(finished, tmp_path)
    assert result.clip.name == TWO_FACES.name
    assert [track.frames for track in result.tracks] == [32, 32]
    target = tmp_path / "terminal.json"
    subprocess.run(
        [sys.executable, "-m", "detector", "scan", str(TWO_FACES), "--json", str(target)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    terminal = Analysis.from_json(target.read_text())
    assert terminal.frames == result.frames
    assert terminal.tracks == result.tracks
    assert terminal.finding == result.finding


def test_nothing_is_asked_of_another_machine(finished: Page) -> None:
    asked = finished.requests  # type: ignore[attr-defined]
    elsewhere = [
        url for url in asked if not url.startswith(("http://localhost:", "data:", "blob:"))
    ]
    assert asked
    assert elsewhere == []


def test_the_temporary_copy_is_gone(finished: Page, server: Server) -> None:
    assert [path for path in server.temporary.rglob("clip") if path.is_file()] == []


def test_another_tab_sees_nothing_of_it(finished: Page, page: Page) -> None:
    expect(page.get_by_role("heading", name="What you will get")).to_be_visible()
    expect(page.get_by_text("grid_two_faces")).to_have_count(0)


def test_both_networks_on_demand(finished: Page) -> None:
    lines = finished.locator(".st-key-timeline .scatterlayer .trace")
    assert lines.count() == 2
    finished.get_by_text("Show both networks").click()
    expect(lines).to_have_count(6)
    finished.get_by_text("Show both networks").click()
    expect(lines).to_have_count(2)


def test_the_result_survives_a_change_of_page(finished: Page) -> None:
    finished.get_by_role("button", name=re.compile(r"^1\.16 s · ")).first.click()
    expect(finished.get_by_text(re.compile(r"^Frame \d+ at 1\.16 s"))).to_be_visible()
    finished.get_by_role("link", name="Feature maps").click()
    expect(finished.get_by_role("heading", name="Filters", exact=True)).to_be_visible()
    clip = finished.get_by_role("combobox", name="Clip")
    expect(clip).to_have_value(re.compile("Your clip: grid_two_faces"))
    finished.get_by_role("link", name="Check a clip").click()
    expect(finished.get_by_role("heading", name="Little evidence of manipulation")).to_be_visible()
    expect(finished.get_by_text(re.compile(r"^Frame \d+ at 1\.16 s"))).to_be_visible()
    expect(finished.locator(".st-key-player video")).to_be_visible()


def test_stop_leaves_nothing_behind(page: Page, server: Server) -> None:
    before = set(server.temporary.glob("veriframe-*"))
    page.get_by_role("button", name="Settings").click()
    page.get_by_text("Every frame").click()
    page.keyboard.press("Escape")
    expect(page.get_by_text("Every frame")).to_be_hidden()
    upload(page, TWO_FACES)
    expect(page.get_by_text(re.compile(r"Frame \d+ of 75"))).to_be_visible()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped. Nothing was kept.")).to_be_visible()
    assert set(server.temporary.glob("veriframe-*")) == before


def test_a_closed_tab_takes_its_files_along(browser: Browser, server: Server) -> None:
    before = set(server.temporary.glob("veriframe-*"))
    context = browser.new_context()
    page = context.new_page()
    page.goto(server.url)
    upload(page, ONE_FACE)
    expect(page.get_by_text("Analysing")).to_be_visible()
    mine = set(server.temporary.glob("veriframe-*")) - before
    assert mine
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped. Nothing was kept.")).to_be_visible()
    context.close()
    assert not [folder for folder in mine if folder.exists()]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("notes.mp4", b"only text", "is not a video or image that can be read"),
        ("empty.mp4", b"", "is empty; choose a file with content"),
        ("cut.mp4", TWO_FACES.read_bytes()[:4000], "it was cut off"),
        ('<img src=x onerror=alert(1)> "quoted" 🎬.mp4', b"text", "is not a video or image"),
    ],
    ids=["text", "empty", "truncated", "hostile-name"],
)
def test_bad_input_gets_one_sentence(
    page: Page, tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    file = tmp_path / name
    file.write_bytes(content)
    upload(page, file)
    alert = page.get_by_test_id("stAlert").filter(has_text=sentence)
    expect(alert).to_be_visible()
    assert "Traceback" not in page.content()
    assert dialogs == []
    assert page.locator("img[src='x']").count() == 0


def test_a_sample_without_a_face_is_not_scored(page: Page) -> None:
    page.get_by_test_id("stSelectbox").first.click()
    page.get_by_text("A car park (no face)").click()
    expect(page.get_by_role("heading", name="No face found")).to_be_visible()
    expect(page.locator(".st-key-timeline")).to_have_count(0)
    expect(page.get_by_text("Intel IoT Devkit sample-videos, CC BY 4.0, trimmed.")).to_be_visible()

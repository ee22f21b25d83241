"""Library and Frames as an analyst uses them: a real server, a real browser, real clips."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect

from detector.library.store import Library
from detector.library.types import FrameFilter, LibraryFilter
from tests.helpers.examples import Drawn, example
from tests.helpers.served import ROOT, Server

SAMPLES = ROOT / "assets" / "samples"
ONE_FACE = SAMPLES / "grid_brbk7n.mp4"
NO_FACE = SAMPLES / "noface_intel_cars.mp4"


@pytest.fixture
def library(server: Server) -> Iterator[Library]:
    """The library of the server, opened beside it."""
    server.data.mkdir(exist_ok=True)
    with Library.open(server.data / "library.sqlite") as library:
        yield library


def analyse(page: Page, clip: Path, *, keep: bool = True) -> None:
    """Upload a clip on the first page, with the fewest frames, and wait for the finding."""
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("slider").press("Home")
    if not keep:
        page.get_by_text("Do not keep").click()
        expect(page.get_by_text("This analysis will not be kept")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("slider")).to_have_count(0)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Upload", exact=True).click()
    chooser.value.set_files(clip)
    expect(page.locator(".st-key-keeping")).to_be_visible()


def copied(clip: Path, folder: Path, name: str) -> Path:
    target = folder / name
    shutil.copy(clip, target)
    return target


def search(page: Page, server: Server, text: str) -> None:
    page.goto(f"{server.url}/library")
    field = page.get_by_role("textbox", name="Search")
    field.fill(text)
    field.press("Enter")


def settled(page: Page) -> None:
    """Wait until the server has nothing more to send."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


def pick(page: Page, id: int) -> None:
    """Tick a row, as a person does: again where the click fell into a redraw and was lost."""
    tick, box = (page.locator(f".st-key-pick-{id} {part}") for part in ("label", "input"))
    until = time.monotonic() + 60
    while True:
        settled(page)
        expect(tick).to_have_count(1)  # once the rows of the whole list are gone
        if box.is_checked():
            return
        assert time.monotonic() < until, "no click arrives"
        tick.click()
        page.wait_for_timeout(300)  # the redraw begins


def find(page: Page, clip: str) -> None:
    """Its row in the list, by the name on its button."""
    expect(page.get_by_role("button", name=clip)).to_be_visible()


def frame_shown(page: Page) -> str:
    return page.get_by_text(re.compile(r"frame \d+ at ")).inner_text()


def test_a_clip_is_kept_found_in_another_tab_browsed_and_deleted(
    page: Page, browser: Browser, server: Server, library: Library, tmp_path: Path
) -> None:
    analyse(page, copied(ONE_FACE, tmp_path, "kept-by-default.mp4"))
    expect(page.locator(".st-key-keeping")).to_contain_text("Kept in the library as number")
    (kept,) = library.search(LibraryFilter(text="kept-by-default")).items
    assert library.thumbnail(kept.id) is not None
    assert library.clip(kept.id) is None
    assert not [path for path in server.data.rglob("*") if path.suffix == ".mp4"]
    page.get_by_text("Provenance", exact=True).click()
    expect(page.get_by_text("The file carries no Content Credentials.")).to_be_visible()
    page.context.close()

    context = browser.new_context(viewport={"width": 1400, "height": 1800}, accept_downloads=True)
    context.set_default_timeout(60_000)
    tab = context.new_page()
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    search(tab, server, "kept-by-default")
    tab.get_by_role("button", name="kept-by-default.mp4").click()
    expect(tab.get_by_role("heading", name="Little evidence of manipulation")).to_be_visible()
    expect(tab.get_by_text("The clip itself was not kept")).to_be_visible()
    expect(tab).to_have_url(f"{server.url}/library?analysis={kept.id}")
    with tab.expect_download() as started:
        tab.get_by_role("button", name="Report (PDF)").click()
    assert started.value.suggested_filename.endswith("-veriframe.pdf")
    report = tmp_path / "report.pdf"
    started.value.save_as(report)
    assert report.read_bytes().startswith(b"%PDF-")

    tab.get_by_role("link", name="Browse its frames").click()
    expect(tab).to_have_url(f"{server.url}/frames?analysis={kept.id}")
    expect(tab.get_by_text("4 rows")).to_be_visible()
    rows = library.frames().items
    rows = tuple(row for row in rows if row.analysis == kept.id)
    first = frame_shown(tab)
    assert f"frame {rows[0].index} at" in first
    table = tab.get_by_test_id("stDataFrame").bounding_box()
    assert table is not None
    tab.mouse.click(table["x"] + 150, table["y"] + 36 + 44 * 2.5)  # the third row
    expect(tab.get_by_text(re.compile(f"frame {rows[2].index} at "))).to_be_visible()
    tab.get_by_role("button", name="Next").click()
    expect(tab.get_by_text(re.compile(f"frame {rows[3].index} at "))).to_be_visible()
    with tab.expect_download() as started:
        tab.get_by_role("button", name="CSV", exact=True).click()
    scores = tmp_path / started.value.suggested_filename
    assert scores.name.endswith("-frames-veriframe.csv")
    started.value.save_as(scores)
    assert list(pd.read_csv(scores)["score"]) == [row.score for row in rows]
    tab.get_by_text("Grid", exact=True).click()
    tab.get_by_role("button", name=f"{rows[1].score:.2f}").first.click()
    expect(tab.get_by_text(re.compile(r"frame \d+ at "))).to_be_visible()

    tab.goto(f"{server.url}/library?analysis={kept.id}")
    tab.get_by_role("button", name="Delete…").click()
    tab.get_by_role("button", name="Delete", exact=True).click()
    expect(tab.get_by_text("Deleted 1 analysis.")).to_be_visible()
    assert library.search(LibraryFilter(text="kept-by-default")).total == 0
    assert library.thumbnail(kept.id) is None
    tab.goto(f"{server.url}/frames?analysis={kept.id}")
    expect(tab.get_by_text(f"There is no analysis {kept.id} in the library")).to_be_visible()
    elsewhere = [
        url for url in asked if not url.startswith(("http://localhost:", "data:", "blob:"))
    ]
    assert elsewhere == []
    context.close()


def test_do_not_keep_keeps_nothing_and_the_frames_are_there_all_the_same(
    page: Page, server: Server, library: Library, tmp_path: Path
) -> None:
    page.get_by_role("button", name="Settings").wait_for()
    analyse(page, copied(ONE_FACE, tmp_path, "not-kept.mp4"), keep=False)
    expect(page.locator(".st-key-keeping")).to_contain_text("Not kept.")
    everything = b"".join(path.read_bytes() for path in server.data.iterdir() if path.is_file())
    assert b"not-kept" not in everything
    page.get_by_role("link", name="Frames", exact=True).click()
    expect(page.get_by_text("This tab's clip")).to_be_visible()
    expect(page.get_by_text("4 rows")).to_be_visible()
    expect(page.get_by_text(re.compile("not-kept.mp4: frame"))).to_be_visible()
    assert library.search(LibraryFilter(text="not-kept")).total == 0
    page.get_by_role("link", name="Check a clip").click()
    page.get_by_role("button", name="Keep it in the library").click()
    expect(page.locator(".st-key-keeping")).to_contain_text("Kept in the library as number")
    assert library.search(LibraryFilter(text="not-kept")).total == 1
    page.get_by_role("button", name="Take it out again").click()
    expect(page.locator(".st-key-keeping")).to_contain_text("Not kept.")
    assert library.search(LibraryFilter(text="not-kept")).total == 0


def test_two_model_versions_are_selected_and_compared(
    page: Page, server: Server, library: Library
) -> None:
    clip = "e" * 64
    ids = [
        library.add(
            example("versions.mp4", seed=seed, clip=clip, version=version), Drawn(), tags=["pair"]
        )
        for seed, version in ((0, "v0"), (7, "v1"))
    ]
    library.add(example("versions-other.mp4", seed=3))
    search(page, server, "versions pair")
    expect(page.get_by_text("2 analyses")).to_be_visible()
    for id in ids:
        pick(page, id)
    expect(page.get_by_text("2 selected")).to_be_visible()
    page.get_by_role("button", name="Compare").click()
    expect(page).to_have_url(re.compile(rf"compare={ids[0]}%2C{ids[1]}"))
    lines = page.locator(".st-key-compared-timelines .scatterlayer .trace")
    expect(lines).to_have_count(2)
    expect(page.get_by_text("Scored with different weights")).to_be_visible()
    expect(page.get_by_text("Largest change")).to_be_visible()
    page.get_by_role("button", name="All analyses").click()
    expect(lines).to_have_count(0)
    settled(page)  # a click during the redraw would open a popover that goes away
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as started:
        page.get_by_role("button", name="Download 2 as ZIP").click()
    assert started.value.suggested_filename == "2-analyses-veriframe.zip"


def test_a_search_without_a_match_and_the_way_back(
    page: Page, server: Server, library: Library
) -> None:
    library.add(example("somewhere.mp4"))
    search(page, server, "nowhere-to-be-found")
    expect(page.get_by_text("No analysis matches")).to_be_visible()
    page.get_by_role("button", name="Show everything").click()
    find(page, "somewhere.mp4")


def test_only_frames_where_the_networks_disagree(
    page: Page, server: Server, library: Library
) -> None:
    id = library.add(example("disagree.mp4", seed=11, frames=8), Drawn())
    rows = library.frames(FrameFilter(analyses=[id])).items
    some = sum(row.disagree for row in rows)
    assert 1 < some < len(rows)
    page.goto(f"{server.url}/frames?analysis={id}")
    expect(page.get_by_text(f"{len(rows)} rows")).to_be_visible()
    page.get_by_text("Only frames where the two networks disagree").click()
    expect(page.get_by_text(f"{some} rows")).to_be_visible()
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.get_by_text(f"{len(rows)} rows")).to_be_visible()


def test_a_folder_is_scanned_from_the_page_and_scanned_again(
    page: Page, server: Server, library: Library, tmp_path: Path
) -> None:
    folder = tmp_path / "clips"
    (folder / "deeper").mkdir(parents=True)
    copied(NO_FACE, folder, "scanned-car-park.mp4")
    copied(NO_FACE, folder / "deeper", "scanned-copy.mp4")
    (folder / "scanned-broken.mp4").write_bytes(b"no video")
    page.goto(f"{server.url}/library")
    page.get_by_text("Scan a folder").click()
    page.get_by_role("textbox", name="Folder").fill(str(folder))
    page.get_by_role("spinbutton", name="Frames of each clip").fill("4")
    page.get_by_text("Folders inside it too").click()
    page.get_by_role("button", name="Scan", exact=True).click()
    card = page.locator(".st-key-folder-scan")
    expect(card).to_contain_text("3 clips: 1 analysed, 1 known already, 1 failed.")
    expect(card).to_contain_text("scanned-broken.mp4: “scanned-broken.mp4” is not a video or image")
    page.get_by_role("button", name="Dismiss").click()
    expect(card).to_have_count(0)
    find(page, "scanned-car-park.mp4")
    (found,) = library.search(LibraryFilter(text="scanned")).items
    assert library.clip(found.id) == folder / "scanned-car-park.mp4"

    page.goto(f"{server.url}/library?analysis={found.id}")
    expect(page.get_by_text("The clip lies unchanged at")).to_be_visible()
    page.get_by_role("button", name="Scan again").click()
    expect(page.locator(".st-key-rescan")).to_contain_text(
        f"number {found.id} is of the current models already"
    )
    page.get_by_role("button", name="Dismiss").click()
    shutil.rmtree(folder)

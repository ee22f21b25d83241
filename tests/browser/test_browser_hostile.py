"""Names, tags, notes and metadata that would be markup are shown as the text they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from playwright.sync_api import Browser, Page, expect

from detector.library.store import Library
from pages.parts.text import short
from tests.helpers.examples import Drawn, example
from tests.helpers.served import ROOT, Server, refusals, serve

NAMES = {
    "image": "<img src=x onerror=alert(1)>.mp4",
    "link": "[a](http://evil.example) $x^2$ `b`.mp4",
    "icon": ":material/home: :red[x] :smile: -> # b.mp4",
    "tags": '<a href="http://evil.example">c</a><b>d</b>.mp4',
}
NOTE = (
    "![i](http://evil.example/i.png) <script>alert(2)</script> $y$ :streamlit: http://evil.example"
)
# What any of them would become if it were markup.
MARKUP = (
    "img[src='x'], [onerror], a[href*='evil'], *[*|href*='evil'], img[src*='evil'], .katex, "
    "img[alt='Streamlit logo'], [data-testid='stIconMaterial']:text-is('home')"
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose library holds an analysis of each name."""
    folder = tmp_path_factory.mktemp("hostile")
    with Library.open(folder / "data" / "library.sqlite") as library:
        for seed, name in enumerate(NAMES.values()):
            library.add(example(name, seed=seed), Drawn(), tags=[name], note=NOTE)
    with serve(folder) as server:
        yield server


@pytest.fixture
def tab(browser: Browser, hostile: Server) -> Iterator[Page]:
    """A tab that fails the test where a page runs, loads or links anything of theirs."""
    with browser.new_context(viewport={"width": 1280, "height": 2400}) as context:
        context.set_default_timeout(60_000)
        page = context.new_page()
        dialogs: list[str] = []
        asked: list[str] = []
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url))
        forbidden = refusals(page)
        yield page
        assert dialogs == []
        assert [url for url in asked if not url.startswith((hostile.url, "data:", "blob:"))] == []
        assert forbidden == []


def shown(page: Page, text: str) -> None:
    """`text` stands on the page letter by letter, and nothing on the page is its markup."""
    said = re.compile(r"\u2060?".join(re.escape(letter) for letter in text))
    expect(page.get_by_text(said).locator("visible=true").first).to_be_visible()
    assert page.locator(MARKUP).count() == 0


def settled(page: Page) -> None:
    """Wait until the page is drawn."""
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)


def test_the_list(tab: Page, hostile: Server) -> None:
    tab.goto(f"{hostile.url}/library")
    for name in NAMES.values():
        expect(
            tab.get_by_role("button", name="Open").or_(tab.locator("button")).first
        ).to_be_visible()
        shown(tab, name)
    shown(tab, "![i](http://evil.example/i.png) <script>")


@pytest.mark.parametrize("number", range(1, len(NAMES) + 1), ids=NAMES)
def test_one_analysis(tab: Page, hostile: Server, number: int) -> None:
    tab.goto(f"{hostile.url}/library?analysis={number}")
    settled(tab)
    shown(tab, list(NAMES.values())[number - 1])
    tab.get_by_text("About this clip").click()
    settled(tab)
    shown(tab, list(NAMES.values())[number - 1])


def test_the_comparison(tab: Page, hostile: Server) -> None:
    tab.goto(f"{hostile.url}/library?compare=1,2,3,4")
    settled(tab)
    legend = tab.locator(".st-key-compared-timelines .legendtext")
    expect(legend).to_have_count(4)
    assert [text.replace("\u00a0", " ") for text in legend.all_text_contents()] == [
        f"{number} · {short(name, 36)}" for number, name in enumerate(NAMES.values(), 1)
    ]
    for name in NAMES.values():
        shown(tab, short(name, 30))


def test_the_frames(tab: Page, hostile: Server) -> None:
    tab.goto(f"{hostile.url}/frames?analysis=1,2,3,4")
    settled(tab)
    expect(tab.get_by_test_id("stDataFrame")).to_be_visible()
    for name in NAMES.values():
        shown(tab, short(name, 40))


def test_a_page_that_explains(tab: Page, hostile: Server) -> None:
    tab.goto(f"{hostile.url}/feature_maps?analysis=4")
    settled(tab)
    expect(tab.get_by_role("combobox", name="Clip")).to_have_value(
        f"From the library: 4, {short(NAMES['tags'], 40)}"
    )
    assert tab.locator(MARKUP).count() == 0


def with_metadata(path: Path, text: str) -> bytes:
    """A shipped clip whose container says `text` wherever it can."""
    source = ROOT / "assets" / "samples" / "noface_nasa_webb_mirror.mp4"
    with av.open(str(source)) as clip, av.open(str(path), "w") as copy:
        stream = copy.add_stream_from_template(clip.streams.video[0])
        for key in ("title", "comment", "artist", "encoder", "copyright"):
            copy.metadata[key] = text
        for packet in clip.demux(clip.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    return path.read_bytes()


@pytest.mark.parametrize("name", [NAMES["image"], NAMES["link"]], ids=["image", "link"])
def test_an_upload(tab: Page, hostile: Server, tmp_path: Path, name: str) -> None:
    content = with_metadata(tmp_path / "clip.mp4", name)
    tab.goto(hostile.url)
    with tab.expect_file_chooser() as chooser:
        tab.get_by_role("button", name="Upload", exact=True).click()
    chooser.value.set_files([{"name": name, "mimeType": "video/mp4", "buffer": content}])
    expect(tab.get_by_role("heading", name="No face found")).to_be_visible()
    # A browser may take the part before a slash for a folder.
    shown(tab, name.rsplit("/", 1)[-1])
    tab.get_by_text("Provenance").click()
    expect(tab.get_by_text("All tags")).to_be_visible()
    shown(tab, name)

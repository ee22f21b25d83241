"""How soon the app answers: import, first page, a moment chosen, a layer changed.

    python -m benchmarks.pages [--repeats 5]

A started server and a real browser (chromium on the PATH, driven by Playwright).
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote_plus

from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.record import Record, Row, arguments, finish

ROOT = Path(__file__).resolve().parents[1]
CLIP = ROOT / "assets" / "samples" / "grid_two_faces_lbbc2a_lbax4n.mp4"
SAMPLE = "Demonstration: self-blended portrait"
POINT = ".st-key-timeline .scatterlayer .trace path.point"


def main() -> None:
    """Run and print."""
    options = arguments(str(__doc__), 5)
    rows = [_import(options.repeats)]
    with tempfile.TemporaryDirectory() as folder:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "streamlit",
                "run",
                "server.py",
                "--server.headless",
                "true",
                "--server.port",
                str(port),
            ],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "VERIFRAME_DATA": folder},
        )
        try:
            url = f"http://localhost:{port}"
            _wait(port)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=shutil.which("chromium"), args=["--no-sandbox"]
                )
                rows += _pages(browser, url, options.repeats)
                browser.close()
        finally:
            server.terminate()
            server.wait(20)
    finish(Record("pages", "How soon the app answers", rows), options.out)


def _import(repeats: int) -> Row:
    # Timed within: the start of Python itself varies by more than this import takes.
    code = "import time; a = time.perf_counter(); import detector; print(time.perf_counter() - a)"

    def once() -> float:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
        )
        return float(done.stdout)

    taken = statistics.median(once() for _ in range(repeats))
    return Row("import detector", {"s": taken}, "within 0.3 s", taken <= 0.3)


def _wait(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("the app did not start")


def _settled(page: Page) -> None:
    expect(page.get_by_test_id("stApp")).to_have_attribute(
        "data-test-script-state", "notRunning", timeout=120_000
    )


def _pages(browser, url: str, repeats: int) -> list[Row]:  # type: ignore[no-untyped-def]
    expect.set_options(timeout=120_000)
    times: list[float] = []
    for _ in range(repeats + 1):
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        started = time.perf_counter()
        page.goto(url)
        expect(page.get_by_role("heading").first).to_be_visible()
        expect(page.get_by_role("button", name="Upload", exact=True)).to_be_visible()
        times.append(time.perf_counter() - started)
        page.close()
    first, again = times[0], statistics.median(times[1:])
    rows = [
        Row("first page, fresh server", {"s": first}),
        Row("first page, started server", {"s": again}, "within 2 s", again <= 2),
    ]
    page = browser.new_page(viewport={"width": 1440, "height": 2200})
    page.set_default_timeout(120_000)
    page.goto(url)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Upload", exact=True).click()
    started = time.perf_counter()
    chooser.value.set_files(CLIP)
    expect(page.locator(POINT).first).to_be_visible()
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    rows.append(Row("3 s clip uploaded and judged", {"s": time.perf_counter() - started}))
    _settled(page)
    points = page.locator(POINT)
    places = itertools.cycle((3, 20, 11, 28))
    seen = page.get_by_text(re.compile(r"^Frame \d+ at ")).first

    def choose() -> None:
        before = seen.inner_text()
        box = points.nth(next(places)).bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        expect(seen).not_to_have_text(before)

    rows.append(_redraw("a click on the timeline shows that frame", choose, repeats, 0.3))
    page.goto(f"{url}/feature_maps?clip={quote_plus(SAMPLE)}")
    expect(page.locator(".st-key-filters img").first).to_be_visible()
    layers = itertools.cycle((("Layer 48", "layer4.2.conv3"), ("Layer 1", "layer1.0.conv1")))

    def other_layer() -> None:
        button, name = next(layers)
        first = page.locator(".st-key-filters img").first
        before = first.get_attribute("src")
        page.get_by_role("button", name=button, exact=True).click()
        expect(page.get_by_text(name).first).to_be_visible()
        expect(first).not_to_have_attribute("src", str(before))

    _settled(page)
    other_layer()
    rows.append(_redraw("another layer of the feature maps", other_layer, repeats, 1.0))
    return rows


def _redraw(name: str, act: Callable[[], None], repeats: int, limit: float) -> Row:
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        act()
        taken.append(time.perf_counter() - started)
    median = statistics.median(taken)
    return Row(name, {"s": median}, f"within {limit:g} s", median <= limit)


if __name__ == "__main__":
    main()

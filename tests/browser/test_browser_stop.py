"""A server that is stopped takes the pictures of every open tab away, however it is stopped."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, expect

from tests.helpers.served import ROOT, serve

CLIP = ROOT / "assets" / "samples" / "grid_brbk7n.mp4"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_stopped_server_leaves_nothing(browser: Browser, tmp_path: Path, how: int) -> None:
    with serve(tmp_path) as server:
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(server.url)
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Upload", exact=True).click()
        chooser.value.set_files(CLIP)
        expect(page.get_by_role("heading", name="Little evidence of manipulation")).to_be_visible()
        assert list(server.temporary.glob("veriframe-*")), "the tab holds its pictures"
        os.kill(server.process, how)
        until = time.monotonic() + 30
        while psutil.Process(server.process).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < until, "it does not end"
            time.sleep(0.1)
        page.close()
    assert list(server.temporary.glob("veriframe-*")) == []

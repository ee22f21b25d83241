"""A real server and a real browser for the tests in this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.helpers.served import Server, chromium, refusals, serve

expect.set_options(timeout=60_000)  # a busy machine of two cores needs its time


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app as a person starts it, on a free port."""
    with serve(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Headless Chromium as the system provides it.

    Not longer than a module: while it is open, Playwright's event loop runs in the main thread,
    where no other test could start one.
    """
    with sync_playwright() as playwright:
        started = chromium(playwright)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """A fresh tab on the app, tall enough to hold a result."""
    context = browser.new_context(viewport={"width": 1280, "height": 2200}, accept_downloads=True)
    context.set_default_timeout(60_000)
    tab = context.new_page()
    forbidden = refusals(tab)
    tab.goto(server.url)
    yield tab
    context.close()
    assert forbidden == [], "the content security policy forbids what a page needs"

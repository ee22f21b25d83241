"""Login by OpenID Connect: a real provider, a real server, and two people in real browsers."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from detector.client import ApiError, Client
from detector.library.store import Library
from detector.service.tokens import Tokens
from pages.parts import navigation
from tests.helpers.examples import Drawn, example
from tests.helpers.provider import PEOPLE, Provider, provide
from tests.helpers.served import ROOT, Server, free_port, refusals, serve

_, *REST = (Path(path).stem for path, *_ in navigation.PAGES)
PAGES = ("", *REST)
CLIP = ROOT / "assets" / "samples" / "grid_brbk7n.mp4"
COOKIE_SECRET = "cookie-5f0c3c6b0d3a4e6f9f7b"


@dataclass(frozen=True)
class Shared:
    """A server that people log in to, and the provider that knows them."""

    server: Server
    provider: Provider


def secrets_file(folder: Path, port: int, provider: Provider, secret: str | None = None) -> Path:
    """The configuration of the login, as SECURITY.md shows it."""
    path = folder / "secrets.toml"
    path.write_text(
        f"""[auth]
redirect_uri = "http://localhost:{port}/oauth2callback"
cookie_secret = "{COOKIE_SECRET}"
client_id = "{provider.client}"
client_secret = "{secret or provider.secret}"
server_metadata_url = "{provider.url}/.well-known/openid-configuration"
"""
    )
    return path


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """A server with a login; the library holds one analysis of nobody's."""
    folder, port = tmp_path_factory.mktemp("login"), free_port()
    with provide() as provider:
        file = secrets_file(folder, port, provider)
        with Library.open(folder / "data" / "library.sqlite") as library:
            library.add(example("from the terminal.mp4", seed=8), Drawn())
        with serve(folder, port, options=["--secrets.files", str(file)]) as server:
            yield Shared(server, provider)


@pytest.fixture
def tab(browser: Browser, shared: Shared) -> Iterator[Page]:
    """A tab of somebody who has not logged in."""
    with browser.new_context(viewport={"width": 1280, "height": 1600}) as context:
        context.set_default_timeout(60_000)
        page = context.new_page()
        forbidden = refusals(page)
        yield page
        assert forbidden == []


def log_in(page: Page, shared: Shared, person: str) -> None:
    """What a person does."""
    page.goto(shared.server.url)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name=f"I am {person}").click()
    expect(page.get_by_role("heading", name="Check a clip")).to_be_visible()


def identity(shared: Shared, person: str) -> str:
    """The owner that the library writes down."""
    return f"{shared.provider.url}|{person}"


@pytest.mark.parametrize("name", [*REST, ""], ids=lambda name: name or "check")
def test_every_page_needs_a_login(tab: Page, shared: Shared, name: str) -> None:
    for _ in range(2 if name == REST[0] else 1):  # by itself first, on a fresh server
        tab.goto(f"{shared.server.url}/{name}?analysis=1")
        expect(tab.get_by_role("heading", name="Log in")).to_be_visible()
        expect(tab.get_by_role("button", name="Log in")).to_be_visible()
        expect(tab.get_by_test_id("stSidebarNavLink")).to_have_count(0)
        expect(tab.get_by_test_id("stFileUploader")).to_have_count(0)
        expect(tab.get_by_text("from the terminal")).to_have_count(0)


def test_every_page_asks_before_it_shows_anything() -> None:
    """Also the page that is written tomorrow: `navigation.require()` comes before all else."""
    for path, *_ in navigation.PAGES:
        lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
        calls = [
            line for line in lines if re.match(r"(st|navigation|session|library_access)\.", line)
        ]
        assert calls[0] == "navigation.require()", path


def test_each_person_sees_their_own(browser: Browser, tab: Page, shared: Shared) -> None:
    log_in(tab, shared, "ada")
    expect(tab.get_by_text(PEOPLE["ada"])).to_be_visible()  # as text, no picture of it
    assert tab.locator("img[src='x']").count() == 0
    tab.get_by_test_id("stSelectbox").first.click()
    tab.get_by_text("A car park (no face)").click()
    expect(tab.get_by_role("heading", name="No face found")).to_be_visible()
    expect(tab.get_by_text("Kept in the library", exact=True)).to_be_visible()
    with Library.open(shared.server.data / "library.sqlite") as library:
        (id,) = library.owned_by(identity(shared, "ada")).ids()
        name = library.owned_by(identity(shared, "ada")).summary(id).name
        assert id not in library.ids()
    tab.goto(f"{shared.server.url}/library")
    expect(tab.get_by_role("button", name=re.compile(re.escape(name)))).to_be_visible()
    expect(tab.get_by_text("from the terminal")).to_have_count(0)
    expect(tab.get_by_text("Scan a folder")).to_have_count(0)
    with browser.new_context() as context:
        other = context.new_page()
        log_in(other, shared, "bob")
        expect(other.get_by_text(re.compile(r"Bob \$x\$ :\u2060?material/home:"))).to_be_visible()
        other.goto(f"{shared.server.url}/library")
        expect(other.get_by_text("The library is empty")).to_be_visible()
        for page in ("library", "frames"):
            other.goto(f"{shared.server.url}/{page}?analysis={id}")
            expect(other.get_by_text(f"There is no analysis {id}").first).to_be_visible()
        assert name not in other.content()


def test_a_persons_token_opens_what_is_theirs(tab: Page, shared: Shared) -> None:
    """The name that About shows makes a token for their analyses, and for nobody else's."""
    log_in(tab, shared, "bob")
    tab.get_by_test_id("stMainMenu").click()
    tab.get_by_role("menuitem", name="About").click()
    shown = tab.get_by_text(re.compile("made with --owner and: ")).inner_text()
    owner = shown.rsplit(": ", 1)[1].strip()
    assert owner == identity(shared, "bob")
    with Library.open(shared.server.data / "library.sqlite") as library:
        mine = Tokens(library).create("mine", owner=owner)[1]
        others = Tokens(library).create("others", owner=identity(shared, "ada"))[1]
    with Client(shared.server.url, mine) as client:
        job = client.wait(client.send(CLIP, frames=4))
    tab.goto(f"{shared.server.url}/library")
    expect(tab.get_by_role("button", name=re.compile(re.escape(CLIP.name)))).to_be_visible()
    with Client(shared.server.url, others) as client, pytest.raises(ApiError, match="no analysis"):
        client.job(job)
    with Client(shared.server.url, mine) as client:
        client.delete(job)


def test_whoever_logs_out_is_out(tab: Page, shared: Shared) -> None:
    log_in(tab, shared, "bob")
    tab.get_by_role("button", name="Log out").click()
    expect(tab.get_by_role("heading", name="Log in")).to_be_visible()
    tab.goto(f"{shared.server.url}/library")
    expect(tab.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_cookie_of_ones_own_making_is_none(tab: Page, shared: Shared) -> None:
    log_in(tab, shared, "ada")
    cookies = {cookie["name"]: cookie for cookie in tab.context.cookies()}
    ours = [name for name in cookies if name.startswith("_streamlit_user")]
    assert ours
    for name in ours:
        cookie = cookies[name]
        assert cookie["httpOnly"]
        assert cookie["sameSite"] in ("Lax", "Strict")
        forged = cookie["value"].strip('"')
        middle = len(forged) // 2
        forged = forged[:middle] + ("A" if forged[middle] != "A" else "B") + forged[middle + 1 :]
        tab.context.add_cookies([{**cookie, "value": forged}])  # type: ignore[typeddict-item]
    tab.goto(f"{shared.server.url}/library")
    expect(tab.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_token_for_another_app_opens_nothing(tab: Page, shared: Shared) -> None:
    shared.provider.audience = "another-app"
    try:
        tab.goto(shared.server.url)
        tab.get_by_role("button", name="Log in").click()
        tab.get_by_role("link", name="I am ada").click()
        expect(tab.get_by_role("heading", name="Log in")).to_be_visible()
    finally:
        shared.provider.audience = shared.provider.client


def test_an_answer_that_nobody_asked_for_opens_nothing(tab: Page, shared: Shared) -> None:
    tab.goto(f"{shared.server.url}/oauth2callback?code=stolen&state=forged")
    expect(tab.get_by_role("heading", name="Log in")).to_be_visible()


def test_the_log_names_no_secret(tab: Page, shared: Shared) -> None:
    log_in(tab, shared, "ada")
    assert shared.provider.tokens
    log = shared.server.log.read_text()
    for secret in (shared.provider.secret, COOKIE_SECRET, *shared.provider.tokens):
        assert secret not in log
    assert "code=" not in log


BROKEN = {
    "empty section": "[auth]\n",
    "no provider": '[auth]\ncookie_secret = "x"\n',
    "no TOML": "[auth\ncookie_secret = hidden-word",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_mistake_in_the_configuration_lets_nobody_in(
    browser: Browser, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "secrets.toml"
    file.write_text(content)
    with (
        serve(tmp_path, options=["--secrets.files", str(file)]) as server,
        browser.new_context() as context,
    ):
        page = context.new_page()
        page.goto(f"{server.url}/library")
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_text("Nobody can log in yet")).to_be_visible()
        assert "hidden-word" not in server.log.read_text()


def test_a_wrong_client_secret_lets_nobody_in(browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    with provide() as provider:
        file = secrets_file(tmp_path, port, provider, secret="wrong-word-7261")
        with (
            serve(tmp_path, port, options=["--secrets.files", str(file)]) as server,
            browser.new_context() as context,
        ):
            page = context.new_page()
            page.goto(server.url)
            page.get_by_role("button", name="Log in").click()
            page.get_by_role("link", name="I am ada").click()
            expect(page.get_by_role("heading", name="Log in")).to_be_visible()
            until = time.monotonic() + 10
            while "token exchange failed" not in (log := server.log.read_text()):
                assert time.monotonic() < until, log
                time.sleep(0.1)
            assert "wrong-word-7261" not in log
            assert COOKIE_SECRET not in log

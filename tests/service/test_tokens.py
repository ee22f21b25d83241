"""detector.service.tokens and `python -m detector token`: shown once, kept as a hash, revocable."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from detector.commands.cli import main
from detector.errors import TokenError
from detector.library import schema
from detector.library.store import Library
from detector.service import tokens as module
from detector.service.tokens import Tokens


@pytest.fixture
def library(database_url: str) -> Iterator[Library]:
    with Library.open(database_url) as opened:
        yield opened


@pytest.fixture
def made(library: Library) -> Tokens:
    return Tokens(library)


def test_a_token_is_what_it_says(made: Tokens) -> None:
    token, text = made.create("desk", ["write", "read"], "issuer|me", days=2)
    found = made.check(text)
    assert found == token
    assert (token.name, token.owner, token.scopes) == ("desk", "issuer|me", ("read", "write"))
    assert token.expires_at is not None
    assert token.expires_at - token.created_at == pytest.approx(2 * 86_400)
    assert made.all() == (token,)


def test_the_secret_is_nowhere_kept(made: Tokens, library: Library) -> None:
    _, text = made.create("desk")
    secret = text.split("_", 2)[2]  # which may have underscores itself
    with library.engine.connect() as connection:
        row = connection.execute(sa.select(schema.token)).mappings().one()
    assert secret not in repr(dict(row))
    assert text.startswith("vf_")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1] + ("a" if text[-1] != "a" else "b"),
        lambda text: text.replace("vf_", "vf-"),
        lambda text: text + "x",
        lambda text: "",
        lambda text: "vf_" + "0" * 12 + text[15:],
        lambda text: text.upper(),
        lambda text: text + "\n",
    ],
    ids=["other secret", "other form", "longer", "nothing", "other id", "upper case", "new line"],
)
def test_what_is_no_token_is_none(made: Tokens, change) -> None:  # type: ignore[no-untyped-def]
    _, text = made.create("desk")
    assert made.check(change(text)) is None


def test_revoked_is_at_once_and_for_ever(made: Tokens) -> None:
    token, text = made.create("desk")
    other, other_text = made.create("archive")
    revoked = made.revoke(token.id)
    assert made.check(text) is None
    assert made.revoke(token.id) == revoked
    assert made.check(other_text) == other


def test_an_expired_token_is_none(made: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    token, text = made.create("desk", days=1)
    monkeypatch.setattr(module.time, "time", lambda: (token.expires_at or 0) + 1)
    assert made.check(text) is None


@pytest.mark.parametrize(
    ("name", "scopes", "days"),
    [
        (" ", ["read"], None),
        ("a", [], None),
        ("a", ["admin"], None),
        ("a", ["read"], 0),
        ("a", ["read"], -1),
        ("a", ["read"], float("nan")),
    ],
)
def test_what_cannot_be_made(made: Tokens, name: str, scopes: list, days: float | None) -> None:
    with pytest.raises(TokenError):
        made.create(name, scopes, days=days)
    assert made.all() == ()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "create", "news desk", "--scope", "read", "--days", "3"]) == 0
    printed = capsys.readouterr()
    text = printed.out.strip()
    assert re.fullmatch(r"vf_[0-9a-f]{12}_[\w-]{43}", text)
    assert text not in printed.err
    id = text.split("_")[1]
    assert main(["token", "list"]) == 0
    table = capsys.readouterr().out
    assert id in table
    assert "news desk" in table
    assert text.split("_", 2)[2] not in table
    with Library.open() as library:
        assert Tokens(library).check(text) is not None
        assert main(["token", "revoke", id]) == 0
        assert "no longer valid" in capsys.readouterr().err
        assert Tokens(library).check(text) is None
    assert main(["token", "list"]) == 0
    assert "revoked" in capsys.readouterr().out
    assert main(["token", "revoke", "none"]) == 2
    assert "There is no token none" in capsys.readouterr().err

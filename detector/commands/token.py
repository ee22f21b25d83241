"""`python -m detector token create|list|revoke`: who may use the service's API."""

from __future__ import annotations

import argparse
import datetime
from typing import TYPE_CHECKING

from detector.service.tokens import DEFAULT_SCOPES, SCOPES

if TYPE_CHECKING:
    from detector.service.tokens import Tokens


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `token`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="make a token and show it this once")
    create.add_argument("name", metavar="NAME", help="what it is for, in a word or two")
    create.add_argument(
        "--scope",
        action="append",
        choices=SCOPES,
        help="what it may do; may be given more than once "
        f"(default: {' and '.join(DEFAULT_SCOPES)})",
    )
    create.add_argument(
        "--days", type=float, metavar="N", help="expires after N days (default: never)"
    )
    create.add_argument(
        "--owner",
        default="",
        metavar="OWNER",
        help="whose analyses it sees, where people log in: issuer|subject, as the menu's About "
        "shows it to each (default: those kept without a login)",
    )
    actions.add_parser("list", help="show all tokens, without their secrets")
    revoke = actions.add_parser("revoke", help="make a token invalid at once")
    revoke.add_argument("id", metavar="ID", help="as `list` shows it")


def run(options: argparse.Namespace) -> int:
    """Make, list or revoke, in the library that `DATABASE_URL` or `VERIFRAME_DATA` names."""
    from detector.library.store import Library
    from detector.service.tokens import Tokens

    with Library.open() as library:
        tokens = Tokens(library)
        if options.action == "create":
            scopes = options.scope or DEFAULT_SCOPES
            token, text = tokens.create(options.name, scopes, options.owner, options.days)
            print(text)
            _say(
                f"Token {token.id} for {', '.join(token.scopes)}. It is shown this once: keep it "
                "where secrets are kept."
            )
        elif options.action == "revoke":
            token = tokens.revoke(options.id)
            _say(f"Token {token.id} ({token.name}) is no longer valid.")
        else:
            _print(tokens)
    return 0


def _say(sentence: str) -> None:
    """Tell the person, on standard error: a script that reads the token reads only that."""
    import sys

    print(sentence, file=sys.stderr)


def _print(tokens: Tokens) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("Token", "Name", "Scopes", "Owner", "Made", "Until")
    for token in tokens.all():
        until = (
            "revoked"
            if token.revoked_at is not None
            else ("for ever" if token.expires_at is None else _day(token.expires_at))
        )
        if not token.valid and token.revoked_at is None:
            until = f"expired {until}"
        table.add_row(
            token.id,
            escape(token.name),
            ", ".join(token.scopes),
            escape(token.owner) or "–",
            _day(token.created_at),
            until,
        )
    Console(emoji=False).print(table)


def _day(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).date().isoformat()

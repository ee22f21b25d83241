"""Who is at the screen, where people have to log in: OpenID Connect, by Streamlit's `st.login`.

Switched on by a section `[auth]` in `.streamlit/secrets.toml`. A secrets file that cannot be
read counts as one: a slip of the pen must not open the door.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st
from streamlit.errors import StreamlitAuthError

from pages.parts.text import plain, short

PRIVACY = {  # by whether people log in
    False: "Everything runs on this machine. Your clip is not sent anywhere.",
    True: "Your clip stays on this server. It is not sent anywhere else.",
}
_SHARED = ("redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url")


def is_required() -> bool:
    """Return whether nobody may see a page without a login."""
    try:
        return "auth" in st.secrets
    except OSError:  # there is no secrets file, or it cannot be read
        return any(Path(path).exists() for path in st.get_option("secrets.files"))


def is_allowed() -> bool:
    """Return whether the person may see the pages: has logged in, where that is required."""
    return not is_required() or _identity() is not None


def owner() -> str:
    """Return a name that is this person's alone and never changes; "" where nobody logs in."""
    if not is_required():
        return ""
    require()
    return _identity() or ""


def known_owner() -> str:
    """Return the same for a person who may not have logged in yet: "" then."""
    return (_identity() or "") if is_required() else ""


def require() -> None:
    """Let nobody past who has not logged in, where that is required."""
    if not is_allowed():
        _ask()
        st.stop()


def show(on_leaving: Callable[[], None]) -> None:
    """Draw who is logged in and the way out, for the sidebar; nothing where nobody logs in.

    Args:
        on_leaving: called before the person is logged out.
    """
    if not is_required():
        return
    claims = st.user.to_dict()
    name = claims.get("name") or claims.get("email") or claims.get("sub")
    st.caption(f":material/account_circle: {plain(short(str(name), 60))}")
    st.button(
        "Log out", icon=":material/logout:", on_click=_leave, args=(on_leaving,), key="log-out"
    )


def _identity() -> str | None:
    """Return the claims that tell a person from all others (OpenID Connect Core, section 2)."""
    claims = st.user.to_dict()
    if claims.get("is_logged_in") is not True:
        return None
    issuer, subject = claims.get("iss"), claims.get("sub")
    return f"{issuer}|{subject}" if issuer and subject else None


def _ask() -> None:
    st.title("Log in")
    st.caption("This Veriframe is shared. Log in to check clips; others do not see yours.")
    for label, provider in _providers().items():
        st.button(
            label,
            icon=":material/login:",
            on_click=_enter,
            args=(provider,),
            type="primary",
            key=f"log-in-{provider}",
        )
    if st.session_state.get("login_refused"):
        st.error(
            "Nobody can log in yet: the section [auth] in secrets.toml is missing or incomplete. "
            "Whoever runs this server finds what it needs in SECURITY.md.",
            icon=":material/error:",
        )


def _providers() -> dict[str, str | None]:
    """Return what the buttons say, and the provider that each stands for."""
    try:
        section = st.secrets["auth"]
        named = [
            key
            for key in section
            if key not in _SHARED and hasattr(section[key], "keys") and "client_id" in section[key]
        ]
    except (OSError, KeyError, TypeError):
        named = []
    return {f"Log in with {plain(name)}": name for name in named} or {"Log in": None}


def _enter(provider: str | None) -> None:
    st.session_state.pop("login_refused", None)
    try:
        st.login(provider)
    except (StreamlitAuthError, OSError, TypeError):
        st.session_state.login_refused = True


def _leave(on_leaving: Callable[[], None]) -> None:
    on_leaving()
    st.logout()

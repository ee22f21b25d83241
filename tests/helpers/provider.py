"""An OpenID Connect provider on this machine: authorization code flow, RS256, real tokens.

Just enough of OpenID Connect Core for `st.login`: discovery, keys, one page where a person says
who they are, and a token endpoint that checks client, code, address and PKCE.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import json
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from joserfc import jwk, jwt

PEOPLE = {"ada": "Ada <img src=x onerror=alert(1)>", "bob": "Bob $x$ :material/home:"}


@dataclass
class Provider:
    """A running provider.

    Attributes:
        url: its issuer.
        client: the name it knows the app by.
        secret: what the app must prove to know.
        tokens: every token that it gave out.
        audience: whom tokens are for; the client, unless a test changes it.
    """

    url: str
    client: str = "veriframe"
    secret: str = field(default_factory=lambda: f"client-{secrets.token_hex(16)}")
    tokens: list[str] = field(default_factory=list)
    audience: str = "veriframe"
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    key: Any = field(
        default_factory=lambda: jwk.RSAKey.generate_key(
            2048, {"kid": "test", "use": "sig", "alg": "RS256"}
        )
    )

    def discovery(self) -> dict[str, Any]:
        """Return what the app reads first."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "code_challenge_methods_supported": ["S256"],
        }

    def id_token(self, asked: dict[str, str]) -> str:
        """Return who the person is, signed."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": asked["person"],
            "aud": self.audience,
            "iat": now,
            "exp": now + 600,
            "name": PEOPLE[asked["person"]],
        }
        if "nonce" in asked:
            claims["nonce"] = asked["nonce"]
        token = jwt.encode({"alg": "RS256", "kid": "test"}, claims, self.key)
        self.tokens.append(token)
        return token

    def keys(self) -> dict[str, Any]:
        """Return the public half of its key."""
        return dict(jwk.KeySet([self.key]).as_dict(private=False))


class _Handler(BaseHTTPRequestHandler):
    provider: Provider

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(asked.query).items()}
        if asked.path == "/.well-known/openid-configuration":
            self._json(self.provider.discovery())
        elif asked.path == "/keys":
            self._json(self.provider.keys())
        elif asked.path == "/authorize" and "person" in query:
            code = secrets.token_urlsafe(16)
            self.provider.codes[code] = query
            back = urlencode({"code": code, "state": query["state"]})
            self.send_response(302)
            self.send_header("Location", f"{query['redirect_uri']}?{back}")
            self.end_headers()
        elif asked.path == "/authorize":
            assert query["client_id"] == self.provider.client
            links = "".join(
                f"<p><a href='?{html.escape(urlencode(query | {'person': name}))}'>I am {name}</a>"
                for name in PEOPLE
            )
            self._send(200, "text/html", f"<h1>Who are you?</h1>{links}".encode())
        else:
            self._json({"error": "not_found"}, 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        asked = self.provider.codes.pop(form.get("code", ""), None)
        if not self._client_is_known():
            self._json({"error": "invalid_client"}, 401)
        elif asked is None or form["redirect_uri"] != asked["redirect_uri"]:
            self._json({"error": "invalid_grant"}, 400)
        elif not _proved(asked, form):
            self._json({"error": "invalid_grant", "error_description": "PKCE"}, 400)
        else:
            access = secrets.token_urlsafe(24)
            self.provider.tokens.append(access)
            token = self.provider.id_token(asked)
            self._json(
                {
                    "access_token": access,
                    "token_type": "Bearer",
                    "expires_in": 600,
                    "id_token": token,
                }
            )

    def _client_is_known(self) -> bool:
        kind, _, coded = self.headers.get("Authorization", "").partition(" ")
        if kind != "Basic":
            return False
        name, _, secret = base64.b64decode(coded).decode().partition(":")
        return (unquote(name), unquote(secret)) == (self.provider.client, self.provider.secret)

    def _json(self, content: dict[str, Any], status: int = 200) -> None:
        self._send(status, "application/json", json.dumps(content).encode())

    def _send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _proved(asked: dict[str, str], form: dict[str, str]) -> bool:
    """Return whether PKCE holds (RFC 7636), where the app asked with a challenge."""
    if "code_challenge" not in asked:
        return True
    digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]


@contextlib.contextmanager
def provide() -> Iterator[Provider]:
    """Run a provider on a free port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    provider = Provider(f"http://localhost:{server.server_port}")
    server.RequestHandlerClass = type("Handler", (_Handler,), {"provider": provider})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()

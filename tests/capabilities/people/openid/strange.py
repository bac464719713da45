"""An OpenID provider that misbehaves on purpose, on a port of this process. Its honest parts are strict.

Each name under its URL is an issuer with documents of its own; a test decides what the token endpoint answers.
"""

import json
import secrets
import threading
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

from joserfc import jws
from joserfc.jwk import RSAKey

Sign = Callable[[dict[str, Any], RSAKey], str]


def sign(claims: dict[str, Any], key: RSAKey, **header: Any) -> str:
    """As an honest provider does."""
    head = {"alg": "RS256", "kid": key.kid, "typ": "JWT"} | header
    return jws.serialize_compact(head, json.dumps(claims), key, algorithms=[head["alg"]])


@dataclass
class Issued:
    """What a code stands for."""

    location: dict[str, str]
    claims: dict[str, Any]
    sign: Sign
    answer: dict[str, Any] = field(default_factory=dict)
    used: bool = False


@dataclass
class Issuer:
    """One issuer."""

    url: str
    key: RSAKey
    changes: dict[str, Any] = field(default_factory=dict)
    """Of the discovery document."""
    raw: bytes | None = None
    delay_s: float = 0.0
    token_delay_s: float = 0.0
    key_reads: int = 0
    userinfo: dict[str, Any] = field(default_factory=dict)

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        } | self.changes


class Strange:
    """The server."""

    def __init__(self, client_secret: str) -> None:
        self.client_secret = client_secret
        self.issuers: dict[str, Issuer] = {}
        self.codes: dict[str, Issued] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                self._answer(*outer.get(self.path))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                self._answer(*outer.token(self.path, parse_qs(body), self.headers.get("authorization", "")))

            def _answer(self, status: int, body: bytes) -> None:
                try:
                    self.send_response(status)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except ConnectionError:
                    pass  # Luna has hung up

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def issuer(self, name: str, **about: Any) -> Issuer:
        made = Issuer(f"{self.url}/{name}", new_key(), **about)
        self.issuers[name] = made
        return made

    def get(self, path: str) -> tuple[int, bytes]:
        name, _, rest = path.lstrip("/").partition("/")
        issuer = self.issuers[name]
        match rest:
            case ".well-known/openid-configuration":
                time.sleep(issuer.delay_s)
                return 200, issuer.raw if issuer.raw is not None else json.dumps(issuer.discovery()).encode()
            case "keys":
                issuer.key_reads += 1
                return 200, json.dumps({"keys": [issuer.key.as_dict(private=False)]}).encode()
            case "userinfo":
                return 200, json.dumps(issuer.userinfo).encode()
        return 404, b"{}"

    def callback(
        self,
        location: str,
        claims: dict[str, Any],
        sign_with: Sign = sign,
        query: dict[str, str] | None = None,
        **answer: Any,
    ) -> str:
        """The URL to which this provider sends the browser of a person with these claims; None removes a claim."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = Issued(asked, claims, sign_with, answer)
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']} | (query or {}))}"

    def token(self, path: str, form: dict[str, list[str]], authorization: str) -> tuple[int, bytes]:
        issuer = self.issuers[path.lstrip("/").partition("/")[0]]
        time.sleep(issuer.token_delay_s)
        client = b64decode(authorization.removeprefix("Basic ")).decode()
        issued = self.codes.get(form["code"][0])
        if unquote_plus(client) != f"luna:{self.client_secret}":
            return 401, b'{"error": "invalid_client"}'
        challenge = urlsafe_b64encode(sha256(form["code_verifier"][0].encode()).digest()).rstrip(b"=").decode()
        if (
            issued is None
            or issued.used
            or challenge != issued.location["code_challenge"]
            or form["redirect_uri"][0] != issued.location["redirect_uri"]
        ):
            return 400, b'{"error": "invalid_grant"}'
        issued.used = True
        now = int(time.time())
        claims = {
            "iss": issuer.url,
            "aud": "luna",
            "iat": now,
            "exp": now + 300,
            "nonce": issued.location["nonce"],
            **issued.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        token = issued.sign(claims, issuer.key)
        answer = {"access_token": "the access token", "token_type": "Bearer", "id_token": token} | issued.answer
        return 200, json.dumps(answer).encode()


def new_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": secrets.token_hex(4), "use": "sig", "alg": "RS256"})

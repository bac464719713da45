"""How Luna's own HAProxy tells an ingress replica who connected to it.

HAProxy replaces the header X-Luna-Peer of every request by `<token>;<address of its peer>`. The token is derived from a
pepper, so that a caller who reaches a replica's own port cannot claim another address, and no network has to be
trusted for this hop: replicas run on other pods than the HAProxy that chooses them. HAProxy also replaces X-Luna-Call
by an id of the call, the same in each attempt at it (docs/decisions/0067); it counts only beside a known token.
`edge.middleware` removes both headers.

Imports no installed package: HAProxy is started by a Python without them (`local.loopback.haproxy_on_loopback`).
"""

import hmac
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Final

HEADER: Final = b"x-luna-peer"
CALL_HEADER: Final = b"x-luna-call"
# Where the middleware puts the call's id for the edge: no caller can write there.
CALL_KEY: Final = "luna.call"
# HAProxy reads it in its configuration; only its own process has it.
TOKEN_VARIABLE: Final = "PEER_TOKEN"  # noqa: S105  a name


def tokens(peppers: str) -> tuple[bytes, ...]:
    """The token of every pepper of LUNA_PEPPERS, the newest first. HAProxy sends the first; replicas accept any."""
    secrets = (entry.strip().partition(":")[2] for entry in peppers.split(","))
    return tuple(
        hmac.new(secret.encode(), b"luna proxy peer", sha256).hexdigest().encode() for secret in secrets if secret
    )


def peer(headers: Sequence[tuple[bytes, bytes]], known: tuple[bytes, ...]) -> str | None:
    """The address that HAProxy has seen; None where the header is missing or does not carry a known token."""
    for name, value in reversed(headers):  # HAProxy's is the last
        if name == HEADER:
            return _address(value, known)
    return None


def call(headers: Sequence[tuple[bytes, bytes]]) -> bytes | None:
    """The id that HAProxy gave the call. To be asked only where `peer` knows the token."""
    for name, value in reversed(headers):
        if name == CALL_HEADER:
            return value
    return None


@lru_cache(4096)  # Every request passes here, and most come from few peers.
def _address(value: bytes, known: tuple[bytes, ...]) -> str | None:
    token, _, address = value.partition(b";")
    return address.decode("latin-1") if any(hmac.compare_digest(token, each) for each in known) else None

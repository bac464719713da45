"""Signatures of Standard Webhooks (standardwebhooks.com, "Signature scheme"), symmetric: version v1."""

import base64
import hmac
from collections.abc import Iterable
from hashlib import sha256

from luna_store.jobs.webhook_secrets import PREFIX


def headers_of(message_id: str, timestamp: int, body: bytes, secrets: Iterable[str]) -> dict[str, str]:
    """The headers of a message.

    Args:
        message_id: the same for every try, so that a receiver can tell a repetition.
        timestamp: of this try, in Unix seconds; receivers refuse old ones.
        body: as it is sent.
        secrets: each adds a signature; one that the receiver knows suffices.
    """
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signature(message_id, timestamp, body, each) for each in secrets),
    }


def signature(message_id: str, timestamp: int, body: bytes, secret: str) -> str:
    """One signature, with its version."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, sha256)).decode()

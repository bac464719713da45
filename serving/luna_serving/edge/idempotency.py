"""`Idempotency-Key` of calls that create something (draft-ietf-httpapi-idempotency-key-header-07).

The answer of a creation is kept for a day. The same call with the same key gets it again, with
`Idempotency-Replayed: true`. Errors are not kept: a call that created nothing may be corrected and resent with its key.
"""

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import sha256
from typing import Annotated, Final

from fastapi import Header
from sqlalchemy.exc import IntegrityError

from luna_serving.edge.operation import Answer
from luna_serving.edge.store_answers import store_answer
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError, Problem
from luna_store.platform.idempotency import (
    Claim,
    ClaimLost,
    Creation,
    IdempotencyKeys,
    KeptAnswer,
    KeyReused,
    StillUnderWay,
)

HEADER: Final = b"idempotency-key"
# A string of RFC 8941, as in the draft, or without quotes, as most clients send it.
KEY: Final = re.compile(rb'"([\x21\x23-\x5b\x5d-\x7e]{1,255})"|([\x21\x23-\x7e]{1,255})')
REPLAYED: Final = (b"idempotency-replayed", b"true")
STORE: Final = "The store of idempotency keys"

WHAT: Final = "1 to 255 printable characters, new for each creation. Sent again within a day, it gets the same answer."
# Parameter of FastAPI routes that create something, so that their documentation shows the header.
KeyHeader = Annotated[str | None, Header(alias="Idempotency-Key", description=WHAT)]


def whole_answer(answer: Answer) -> Answer:
    """What later calls with the key get: by default the same."""
    return answer


Create = Callable[[Claim | None], Awaitable[Answer]]
"""Creates something and makes a whole answer. With a claim it may call `IdempotencyKeys.keep` in its transaction."""


def key_reused() -> Problem:
    """422: the key was used for another request."""
    return Problem(
        "idempotency-key-reused",
        422,
        "The Idempotency-Key belongs to another request.",
        "The account has sent this key with another body within the last day. Use a new key for a new request.",
    )


def still_under_way() -> Problem:
    """409: the first call with this key has no answer yet."""
    return Problem(
        "still-under-way",
        409,
        "The first call with this Idempotency-Key is still under way.",
        "Try again shortly with the same key: the answer is then the first call's.",
        {"Retry-After": "1"},
    )


def read_key(headers: dict[bytes, bytes]) -> str | None:
    """The key in the headers; None without one.

    Raises:
        Problem: 422.
    """
    sent = headers.get(HEADER)
    if sent is None:
        return None
    found = KEY.fullmatch(sent.strip())
    if found is None:
        wrong = "Must be 1 to 255 printable ASCII characters without spaces, such as a UUID."
        raise problems.invalid(FieldError("/header/idempotency-key", wrong))
    return (found[1] or found[2]).decode("ascii")


async def once(
    keys: IdempotencyKeys,
    account_id: int,
    route: str,
    headers: dict[bytes, bytes],
    body: bytes,
    create: Create,
    *,
    shown_again: Callable[[Answer], Answer] = whole_answer,
) -> Answer:
    """Create something, or return the answer of the call that did.

    Args:
        keys: the store of keys.
        account_id: the account that sent the key.
        route: method, and path below the account's, such as `POST datasets`.
        headers: the request's.
        body: the request's, decompressed.
        create: the work; called at most once.
        shown_again: what is kept of its answer, for one that holds a secret which is stored nowhere.

    Raises:
        Problem: from `create`; 409 while another call does the work; 422, the key is invalid, or was sent with
            another body; 503.
    """
    key = read_key(headers)
    if key is None:
        return await create(None)
    meanings = {
        KeyReused: lambda _: key_reused(),
        StillUnderWay: lambda _: still_under_way(),
        ClaimLost: lambda _: still_under_way(),
        IntegrityError: lambda _: problems.not_found(f"There is no account {account_id}."),
    }
    creation = Creation(account_id, route, key, sha256(body).digest())
    found = await store_answer(keys.claim(creation), STORE, meanings)
    if isinstance(found, KeptAnswer):
        kept = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in found.headers.items()]
        return Answer(found.body, found.status, [*kept, REPLAYED])
    try:
        answer = await create(found)
        whole = kept_answer(shown_again(answer))
    except Exception:
        with suppress(Problem):  # Otherwise the claim expires.
            await store_answer(keys.release(found), STORE)
        raise
    await store_answer(_kept(keys, found, whole), STORE, meanings)
    return answer


async def _kept(keys: IdempotencyKeys, claim: Claim, answer: KeptAnswer) -> None:
    try:
        await keys.keep(claim, answer)
    except ClaimLost:
        # `create` kept the answer, or another call holds the key.
        if await keys.claim(claim.creation) != answer:
            raise


def kept_answer(answer: Answer) -> KeptAnswer:
    """An answer as the store keeps it."""
    if not isinstance(answer.body, bytes):
        raise TypeError("An answer in pieces cannot be kept for its Idempotency-Key.")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in answer.headers}
    return KeptAnswer(answer.status, headers, answer.body)

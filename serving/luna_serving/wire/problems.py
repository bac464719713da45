"""Every error that the edge answers: RFC 9457 problems with stable types.

A problem is a value that can be raised: raised where the reason is known, never changed on the way, and turned into an
answer in one place. `type` is the part that programs compare; it never changes meaning.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import FrozenInstanceError, dataclass, field
from typing import Any, Final

import orjson

TYPE_BASE = "https://luna.dev/problems/"
CONTENT_TYPE = b"application/problem+json"
REALM = 'realm="luna"'
# Every 429 carries Retry-After, also where time alone changes nothing: how often it is reasonable to look whether the
# quota was raised. Such a problem says `"permanent": true` (docs/decisions/0020).
PERMANENT_RETRY_S = 3600


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field."""

    pointer: str
    """RFC 6901 JSON pointer into the request body; empty for the body itself."""
    detail: str
    """What is wrong and what to write instead."""

    def as_dict(self) -> dict[str, str]:
        """The member of `errors` on the wire."""
        return {"pointer": self.pointer, "detail": self.detail}


@dataclass(eq=False)
class Problem(Exception):
    """An answer that is not a success."""

    slug: Final[str]
    status: Final[int]
    title: Final[str]
    detail: Final[str]
    headers: Final[Mapping[str, str]] = field(default_factory=dict)
    extra: Final[Mapping[str, Any]] = field(default_factory=dict)
    """Extension members."""

    def __post_init__(self) -> None:
        Exception.__init__(self, self.detail)

    def __setattr__(self, name: str, value: object) -> None:
        # Not `frozen=True`: it would also refuse `__traceback__`, which contextlib sets on what passes through it.
        if name in self.__dataclass_fields__ and name in vars(self):
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        super().__setattr__(name, value)

    def body(self) -> bytes:
        """The problem as JSON."""
        return orjson.dumps(
            {
                "type": TYPE_BASE + self.slug,
                "title": self.title,
                "status": self.status,
                "detail": self.detail,
                **self.extra,
            }
        )


class NotPresented(Problem):
    """401 for a request without any credential: nobody has guessed one."""


class SecretRefused(Problem):
    """A password, refresh token or link was wrong: somebody may be guessing. Counted apart from refused API keys."""

    @classmethod
    def of(cls, problem: Problem) -> "SecretRefused":
        """The same problem, as one that counts as a failed attempt."""
        return cls(problem.slug, problem.status, problem.title, problem.detail, problem.headers, problem.extra)


def bad_request() -> Problem:
    """400: the request is not valid HTTP."""
    return Problem(
        "bad-request",
        400,
        "The request cannot be read.",
        "It is not valid HTTP: a header has a control character in it, or the syntax is wrong. Correct it.",
        {"Connection": "close"},
    )


def unauthenticated(detail: str, kind: type[Problem] = Problem) -> Problem:
    """401: a malformed or unknown key; with `NotPresented`, a missing one."""
    return kind(
        "unauthenticated",
        401,
        "Missing or invalid credentials.",
        detail,
        {"WWW-Authenticate": f'Bearer {REALM}, ApiKey {REALM} header="X-API-Key"'},
    )


def other_account() -> Problem:
    """403: the key belongs to another account."""
    return Problem(
        "other-account",
        403,
        "The key belongs to another account.",
        "Put your own account's id in the path, or use that account's key.",
    )


def role_needed(least: str, role: str, *, person: bool) -> Problem:
    """403: the caller is recognised, and its role does not suffice."""
    if person:
        cure = f"Ask an admin of the account for the role {least}, then call /api/v1/auth/refresh."
    else:
        cure = f"API keys act as {role}. Sign in as a person with the role {least}: POST /api/v1/auth/login."
    return Problem(
        "role",
        403,
        "The role does not suffice.",
        f"This needs the role {least}, and you have the role {role}. {cure}",
        extra={"needed": least, "role": role},
    )


def suspended() -> Problem:
    """403: the account exists but may not call."""
    return Problem("suspended", 403, "The account is suspended.", "Ask the team that runs Luna to resume it.")


def expired() -> Problem:
    """403: the account has expired."""
    return Problem("expired", 403, "The account has expired.", "Ask the team that runs Luna to extend it.")


def not_allowed(capability: str, name: str) -> Problem:
    """403: the account may call, but not this: neither its Account nor its Tier allows it."""
    cure = (
        f"GET /api/v1/{{account_id}} shows under `allowed` what it may. The team that runs Luna adds {name!r} to "
        f"spec.allowed.{capability} of the Account or its Tier."
    )
    extra = {"capability": capability, "name": name}
    if capability == "kalman":  # the type of this problem when Kalman's models were all that could be allowed
        detail = f"The model {name!r} is not among the account's allowed models. {cure}"
        return Problem("model-not-allowed", 403, "The account may not use this model.", detail, extra=extra)
    return Problem(
        "not-allowed",
        403,
        f"The account may not use this part of {capability}.",
        f"{name!r} is not among what the account may use of {capability}. {cure}",
        extra=extra,
    )


def not_found(what: str) -> Problem:
    """404."""
    return Problem("not-found", 404, "Not found.", what)


def method_not_allowed(allow: str) -> Problem:
    """405, with the methods that are."""
    return Problem("method-not-allowed", 405, "Method not allowed.", f"Use {allow}.", {"Allow": allow})


def deadline(seconds: float) -> Problem:
    """408: the answer was not ready in time; nothing was charged."""
    return Problem(
        "deadline",
        408,
        "The answer was not ready in time.",
        f"The call was given up after {seconds:g} s and not charged. Send less at once, or allow more time with "
        "X-Request-Timeout-Seconds.",
    )


def slow_body(seconds: float) -> Problem:
    """408: the body did not arrive in time (RFC 9110, section 15.5.9)."""
    return Problem(
        "deadline",
        408,
        "The body did not arrive in time.",
        f"The call was given up after {seconds:g} s and not charged. Send the body faster, or in smaller calls.",
        {"Connection": "close"},
    )


def too_large(limit: int) -> Problem:
    """413; the limit, in bytes, holds for a body as it is sent and as it is unpacked."""
    return Problem(
        "too-large",
        413,
        "The body is too large.",
        f"A body may have at most {limit} bytes, after decompression too. Split the call.",
        extra={"limit": limit},
    )


def limit_reached(detail: str) -> Problem:
    """409: the account may store no more."""
    return Problem("limit-reached", 409, "Storage limit reached.", detail)


def managed(detail: str) -> Problem:
    """409: what the caller changes is kept elsewhere, and is changed there."""
    return Problem("managed", 409, "This is managed elsewhere.", detail)


def precondition_failed(detail: str) -> Problem:
    """412: the stored version is not the one that the caller expects (RFC 9110, section 15.5.13)."""
    return Problem("precondition-failed", 412, "Precondition failed.", detail)


def unsupported_media_type(found: str) -> Problem:
    """415."""
    return Problem(
        "unsupported-media-type",
        415,
        "The body's type is not supported.",
        f"Send the body with Content-Type: application/json, not {found!r}.",
        {"Accept": "application/json"},
    )


def unsupported_content_coding(found: str, known: Iterable[str]) -> Problem:
    """415, of Content-Encoding (RFC 9110, section 12.5.3)."""
    codings = sorted(set(known))
    return Problem(
        "unsupported-media-type",
        415,
        "The body's compression is not supported.",
        f"Send the body with Content-Encoding: {' or '.join(codings)}, or without compression, not {found!r}.",
        {"Accept-Encoding": ", ".join(codings)},
    )


def not_compressed_so(coding: str) -> Problem:
    """415: the body is not what its Content-Encoding says (RFC 9110, section 15.5.16)."""
    return Problem(
        "unsupported-media-type",
        415,
        "The body cannot be decompressed.",
        f"Content-Encoding says {coding}, and the body is not a whole {coding} stream. Compress it so, or leave the "
        "header out.",
    )


def not_acceptable(offered: Sequence[str]) -> Problem:
    """406."""
    return Problem(
        "not-acceptable", 406, "None of the accepted forms is offered.", f"Accept one of {', '.join(offered)}."
    )


def invalid(*errors: FieldError) -> Problem:
    """422: the body was understood and is wrong."""
    first = errors[0]
    where = f"{first.pointer}: " if first.pointer else ""
    return Problem(
        "invalid",
        422,
        "The request is not valid.",
        where + first.detail,
        extra={"errors": [e.as_dict() for e in errors]},
    )


def rate_limited(retry_after_s: int) -> Problem:
    """429: too fast."""
    return Problem(
        "rate-limited",
        429,
        "Too many requests.",
        f"The account's rate limit admits the next request in {retry_after_s} s.",
        {"Retry-After": str(retry_after_s)},
    )


def quota_exhausted(units: int, left: int, limit: int, renewal_s: int | None) -> Problem:
    """429: the quota does not cover the cost.

    Args:
        units: what the request costs.
        left: units that are left, below `units`.
        limit: units of the whole quota.
        renewal_s: seconds until a new window restores the quota; None for a Lifetime quota.
    """
    permanent = renewal_s is None or units > limit
    if units > limit:
        detail = (
            f"The request costs {units} units and the whole quota has {limit}: it can never be covered. Split the "
            "request, or ask the team that runs Luna for a larger quota."
        )
    elif renewal_s is not None:
        detail = (
            f"The request costs {units} units, of which {left} are left. The quota is renewed in {renewal_s} s. Send "
            "a smaller request or wait until then, or ask the team that runs Luna for a larger quota."
        )
    elif left:
        detail = (
            f"The request costs {units} units, of which {left} are left. This quota is not renewed. Send a smaller "
            "request, or ask the team that runs Luna for a larger quota."
        )
    else:
        detail = (
            f"All {limit} units of the quota are used, and this quota is not renewed. Ask the team that runs Luna "
            "for a larger quota."
        )
    return Problem(
        "quota-exhausted",
        429,
        "The quota does not cover this request.",
        detail,
        {"Retry-After": str(PERMANENT_RETRY_S if renewal_s is None or permanent else renewal_s)},
        {"cost": units, "remaining": left, "limit": limit, "permanent": permanent},
    )


def too_many_attempts(retry_after_s: int) -> Problem:
    """429: too many attempts to authenticate have failed at the caller's address."""
    return Problem(
        "too-many-attempts",
        429,
        "Too many failed attempts.",
        f"Too many attempts to authenticate have failed from your address. Try again in {retry_after_s} s. A valid API "
        "key is accepted at any time.",
        {"Retry-After": str(retry_after_s)},
    )


def overloaded() -> Problem:
    """503: try again; nothing was charged."""
    return Problem(
        "overloaded",
        503,
        "The service is overloaded.",
        "The call was not charged. Try again shortly.",
        {"Retry-After": "1"},
    )


def dependencies_gone(what: str) -> Problem:
    """503: what the call needs is out of reach; nothing was charged."""
    return Problem(
        "dependencies-gone",
        503,
        "The service cannot answer at the moment.",
        f"{what} is out of reach. The call was not charged. Try again shortly.",
        {"Retry-After": "2"},
    )


def internal() -> Problem:
    """500: our mistake. The log has the rest, under the request id."""
    return Problem(
        "internal",
        500,
        "Something went wrong on our side.",
        "The call was not charged. Quote the X-Request-ID when you report it.",
    )

"""The request asks for what there is not, or is wrong."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from luna_serving.wire.problems.problem import FieldError, Problem

NO_FACTS: Final[Mapping[str, Any]] = MappingProxyType({})


def bad_request() -> Problem:
    """400: the request is not valid HTTP."""
    return Problem(
        "bad-request",
        400,
        "The request cannot be read.",
        "It is not valid HTTP: a header has a control character in it, or the syntax is wrong. Correct it.",
        {"Connection": "close"},
    )


def not_found(what: str) -> Problem:
    """404."""
    return Problem("not-found", 404, "Not found.", what)


def method_not_allowed(allow: str) -> Problem:
    """405, with the methods that are."""
    return Problem("method-not-allowed", 405, "Method not allowed.", f"Use {allow}.", {"Allow": allow})


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


def unsupported_media_type(found: str, taken: Sequence[str] = ("application/json",)) -> Problem:
    """415; `taken` are the types that the route takes."""
    return Problem(
        "unsupported-media-type",
        415,
        "The body's type is not supported.",
        f"Send the body with Content-Type: {' or '.join(taken)}, not {found!r}.",
        {"Accept": ", ".join(taken)},
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


def invalid(*errors: FieldError, facts: Mapping[str, Any] = NO_FACTS) -> Problem:
    """422: the body was understood and is wrong.

    Args:
        errors: at least one; the first is the problem's detail.
        facts: further extension members, for programs.
    """
    first = errors[0]
    where = f"{first.pointer}: " if first.pointer else ""
    return Problem(
        "invalid",
        422,
        "The request is not valid.",
        where + first.detail,
        extra={"errors": [e.as_dict() for e in errors], **facts},
    )

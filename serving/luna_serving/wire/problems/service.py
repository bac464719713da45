"""Too late, overloaded, out of reach, or broken: the caller may try again."""

from luna_serving.wire.problems.problem import Problem


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

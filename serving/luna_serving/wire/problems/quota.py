"""Rate and quota."""

from luna_serving.wire.problems.problem import Problem

# Every 429 carries Retry-After, also where time alone changes nothing: how often it is reasonable to look whether the
# quota was raised. Such a problem says `"permanent": true` (docs/decisions/0020).
PERMANENT_RETRY_S = 3600


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

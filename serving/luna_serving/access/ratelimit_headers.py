"""The RateLimit and RateLimit-Policy headers (draft-ietf-httpapi-ratelimit-headers-10) of a standing."""

import time
from math import ceil

from luna_store.quota.debits import Standing


def ratelimit_headers(standing: Standing) -> list[tuple[bytes, bytes]]:
    """Both headers: the quota ("quota") and the rate ("rate").

    `q` is the amount per `w` seconds, `r` the amount left, `t` the seconds until more is available. A Lifetime quota
    has neither `w` nor `t`.
    """
    refill_s = max(1, ceil(standing.burst * standing.interval_us / 1e6))
    policy = f'"quota";q={standing.quota_limit}'
    state = f'"quota";r={standing.remaining}'
    if standing.window_ends_at_ms:
        policy += f";w={standing.window_s}"
        state += f";t={seconds_left(standing.window_ends_at_ms)}"
    rate_wait = 0 if standing.tokens_left else max(1, ceil(standing.wait_us / 1e6))
    policy += f', "rate";q={standing.burst};w={refill_s}'
    state += f', "rate";r={standing.tokens_left};t={rate_wait}'
    return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", state.encode())]


def seconds_left(until_ms: int) -> int:
    """Whole seconds until a Unix time in milliseconds, at least 1."""
    return max(1, ceil(until_ms / 1000 - time.time()))

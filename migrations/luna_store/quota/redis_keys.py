"""Every Redis key that Luna uses.

The braces are literal hash tags: all keys of an account hash to one cluster slot, so the scripts that touch
several of them also run on a cluster.
"""


def account(account_id: int) -> str:
    """Hash: the account's standing, limits and key digests. Rebuilt from Postgres, no expiry."""
    return f"account:{{{account_id}}}"


def quota(account_id: int) -> str:
    """Integer: units left in the window; negative after an overdraft. No expiry."""
    return f"user:{{{account_id}}}:quota"


def rate(account_id: int) -> str:
    """Integer: GCRA's theoretical arrival time in microseconds. Expires when the bucket is full again."""
    return f"user:{{{account_id}}}:rate"


def events(account_id: int) -> str:
    """Stream: events that are not in Postgres yet."""
    return f"user:{{{account_id}}}:events"


def refunded(account_id: int, debit_id: str) -> str:
    """Marker: this debit was refunded. Expires after `REFUND_MEMORY_S`."""
    return f"user:{{{account_id}}}:refunded:{debit_id}"


def key(digest: str) -> str:
    """String: the id of the account that the API key with this digest belongs to."""
    return f"key:{digest}"


def throttle(address: str, kind: str, subject: str = "") -> str:
    """Hash: attempts that failed at an address, and its block. Expires when both are over.

    All of one address are in one slot. The subject is a digest: emails are not stored.
    """
    return f"throttle:{{{address}}}:{kind}" + (f":{subject}" if subject else "")


def openid_state(digest: str) -> str:
    """JSON: a sign-in through an OpenID provider that has begun. Expires after ten minutes."""
    return f"openid:state:{digest}"


def openid_starts(address: str) -> str:
    """Integer: sign-ins that an address has begun. Expires after ten minutes."""
    return f"openid:starts:{{{address}}}"


# Set: ids of accounts whose stream may have events. A hint: settlement also sweeps all accounts now and then.
UNSETTLED = "luna:unsettled"

# A refund is retried for minutes at most; a day leaves room for a long outage.
REFUND_MEMORY_S = 86_400

# String: the run id of the Redis process that settlement saw last.
SEEN_RUN = "luna:seen-run"

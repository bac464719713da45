"""When rules are evaluated: at fixed instants of each rule, spread over its interval.

Prometheus' way (rules/group.go, `EvalTimestamp`): the instants are `k * interval + offset` with an offset from a hash,
so they do not depend on when a process started, and rules of one interval do not come all at once.
"""

import uuid
from hashlib import blake2b


def offset_of(rule_id: uuid.UUID, interval_ms: int) -> int:
    """Milliseconds from a multiple of the interval to the rule's instants; below `interval_ms`."""
    return int.from_bytes(blake2b(rule_id.bytes, digest_size=8).digest(), "big") % interval_ms


def next_after(rule_id: uuid.UUID, interval_ms: int, after_ms: int) -> int:
    """The rule's first instant later than `after_ms`."""
    offset = offset_of(rule_id, interval_ms)
    return (after_ms - offset) // interval_ms * interval_ms + interval_ms + offset


def last_until(rule_id: uuid.UUID, interval_ms: int, until_ms: int) -> int:
    """The rule's last instant at or before `until_ms`."""
    return next_after(rule_id, interval_ms, until_ms) - interval_ms


def missed_between(due_ms: int, evaluated_ms: int, interval_ms: int) -> int:
    """Evaluations that were due and are not made: one per instant from `due_ms` on before the one that is made."""
    return max(0, (evaluated_ms - due_ms) // interval_ms)

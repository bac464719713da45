"""Every call through HAProxy ends in time: with an answer, or with 503 and Retry-After.

- Serve has a proxy on the head as the last server of each backend (`backup`). While no ingress replica lives, it queues
  calls without end, and the health check of the node counts it as a replica. Without it HAProxy answers 503 at once,
  and `/-/healthz` says so: a worker is ready while it reaches an ingress replica.
- Serve sets no timeout for answers: a replica that hangs would hold its calls for an hour. Here they end a moment after
  the edge's own deadline. Streams send a heartbeat more often; sockets have a timeout of their own.

Imports no installed package: see `haproxy_on_loopback`.
"""

import math
import re
from collections.abc import Mapping
from typing import Final

VARIABLE: Final = "LUNA_EDGE_REQUEST_TIMEOUT_S"
# Of `luna_serving.settings.EdgeSettings`, which cannot be imported here.
DEFAULT_S: Final = 30.0
# The edge answers at its deadline; HAProxy waits so many seconds longer for that answer.
GRACE_S: Final = 5
# Event streams are silent for up to 15 s (`luna_serving.edge.event_stream`).
LEAST_S: Final = 20
# As Serve's timeout for callers: a socket may be silent that long.
TUNNEL_S: Final = 3600
_BACKUP: Final = re.compile(
    r"^(?:[ \t]*# Fallback to head node's Serve proxy .*\n)?[ \t]*server \S+ \S+ check backup\n", re.MULTILINE
)
_DEFAULTS: Final = re.compile(r"^defaults\b.*\n", re.MULTILINE)


def with_deadlines(configuration: str, environment: Mapping[str, str]) -> str:
    """The configuration without Serve's own proxy behind it, and with an end for every call.

    Args:
        configuration: Serve's.
        environment: of the process; LUNA_EDGE_REQUEST_TIMEOUT_S is the edge's deadline.
    """
    lines = ""
    if "timeout server " not in configuration:
        lines += f"    timeout server {answer_s(environment)}s\n"
    if "timeout tunnel " not in configuration:
        lines += f"    timeout tunnel {TUNNEL_S}s\n"
    return _DEFAULTS.sub(lambda found: found[0] + lines, _BACKUP.sub("", configuration))


def answer_s(environment: Mapping[str, str]) -> int:
    """Seconds that HAProxy waits for a replica that is silent."""
    return max(deadline_s(environment) + GRACE_S, LEAST_S)


def deadline_s(environment: Mapping[str, str]) -> int:
    """Seconds after which the edge answers 408."""
    try:
        return math.ceil(float(environment.get(VARIABLE) or DEFAULT_S))
    except (ValueError, OverflowError):
        # The replicas refuse it by name.
        return math.ceil(DEFAULT_S)

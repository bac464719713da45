"""How many connections HAProxy takes: as many as its open files allow, instead of Serve's 4,096.

A live connection stays open for hours. Each takes two open files, one to the caller and one to the replica. HAProxy
ends at once if its configuration needs more than the process may have. For splicing it reserves pipes, by default a
half file more for each connection; few are enough, as it copies where it has none.

Imports no installed package: see `haproxy_on_loopback`.
"""

import re
import resource
from collections.abc import Mapping
from typing import Final

MOST: Final = 32_768
# Two open files each.
PIPES: Final = 256
# For listeners, health checks, threads and the statistics socket.
SPARE_FILES: Final = 400
# The user's own number, which stays.
VARIABLE: Final = "RAY_SERVE_HAPROXY_MAXCONN"
_MAXCONN: Final = re.compile(r"^([ \t]*maxconn )(\d+)$", re.MULTILINE)


def open_files() -> int:
    """The files that this process may open, its soft limit raised."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return 2 * (MOST + PIPES) + SPARE_FILES if hard == resource.RLIM_INFINITY else hard


def with_connections(configuration: str, files: int, environment: Mapping[str, str]) -> str:
    """The configuration with room for more connections.

    Args:
        configuration: Serve's.
        files: that HAProxy may open.
        environment: of the process.
    """
    if environment.get(VARIABLE):
        return configuration
    most = max(1, min(MOST, (files - SPARE_FILES) // 2 - PIPES))
    return _MAXCONN.sub(lambda found: f"{found[1]}{most}\n    maxpipes {PIPES}", configuration, count=1)

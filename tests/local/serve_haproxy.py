"""The configuration that Ray Serve writes for HAProxy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from luna_serving.local.data_folder.ports import LOOPBACK, free_port
from luna_serving.local.loopback.ray_environment import haproxy_binary

NEEDS_HAPROXY = pytest.mark.skipif(haproxy_binary() is None, reason="HAProxy is installed on Linux only")


def serve_configuration(
    folder: Path, port: int, replicas: Mapping[str, int | Sequence[int]], fallback: int | None = None, **timeouts: int
) -> Path:
    """Write it.

    Args:
        folder: for it and for what it names.
        port: of the frontend.
        replicas: their port, or ports, by the path that leads to them.
        fallback: the port of Serve's own proxy on the head, if there is one.
        timeouts: settings of `HAProxyConfig`.
    """
    from ray.serve._private.haproxy import BackendConfig, HAProxyApi, HAProxyConfig, ServerConfig
    from ray.serve.config import HTTPOptions

    settings = HAProxyConfig(
        socket_path=str(folder / "admin.sock"),
        stats_port=free_port(),
        metrics_port=free_port(),
        server_state_base=str(folder),
        server_state_file=str(folder / "state"),
        metrics_enabled=False,
        has_received_routes=True,
        has_received_servers=True,
        http_options=HTTPOptions(host=LOOPBACK, port=port),
        **timeouts,
    )
    proxy = None if fallback is None else ServerConfig("SERVE_PROXY_ACTOR", LOOPBACK, fallback)
    backends = {
        name: BackendConfig(
            name,
            f"/{name}",
            servers=[ServerConfig(f"replica{i or ''}", LOOPBACK, at) for i, at in enumerate(_ports(ports))],
            app_name=name,
            fallback_server=proxy,
        )
        for name, ports in replicas.items()
    }
    api = HAProxyApi(settings, backends, str(folder / "haproxy.cfg"))
    api._generate_config_file_internal()
    return folder / "haproxy.cfg"


def _ports(given: int | Sequence[int]) -> Sequence[int]:
    return [given] if isinstance(given, int) else given

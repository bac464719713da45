"""The ports on which a SeaweedFS listens: an HTTP and a gRPC port for each of its five servers."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Final

from luna_serving.local.data_folder.ports import free_port, is_free

if TYPE_CHECKING:
    from collections.abc import Mapping

    from luna_serving.local.data_folder.folder import DataFolder

SERVERS: Final = ("s3", "filer", "master", "volume", "admin")
_FILE = "ports.json"
# The worker of the admin server calls its gRPC port at the HTTP port + 10000, whatever the arguments say. Both ports
# stay below the range of ephemeral ports, the second above the ports of Serve's replicas behind HAProxy.
_GRPC_OFFSET = 10_000
_ADMIN: Final = range(21_500, 22_700)

Ports = dict[str, int]
"""By the name of the argument, such as `filer.port` and `filer.port.grpc`."""


def chosen_ports(folder: DataFolder, s3_port: int) -> Ports:
    """The ports of the last start where all of them are free, else others; `s3_port` is the one of S3."""
    ports = _kept(folder) | {"s3.port": s3_port}
    if set(ports) != set(_names()) or len(set(ports.values())) < len(ports) or not _all_free(ports):
        ports = _new(s3_port)
        folder.write(_FILE, json.dumps(ports) + "\n")
    return ports


def forget_ports(folder: DataFolder) -> None:
    """Choose others at the next start."""
    (folder.path / _FILE).unlink(missing_ok=True)


def _names() -> list[str]:
    return [f"{server}.port{kind}" for server in SERVERS for kind in ("", ".grpc")]


def _kept(folder: DataFolder) -> Ports:
    try:
        kept = json.loads((folder.path / _FILE).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return {name: port for name, port in kept.items() if isinstance(port, int)} if isinstance(kept, dict) else {}


def _all_free(ports: Mapping[str, int]) -> bool:
    return all(is_free(port) for port in ports.values())


def _new(s3_port: int) -> Ports:
    admin = next(
        port
        for port in random.sample(_ADMIN, len(_ADMIN))
        if port != s3_port and is_free(port) and is_free(port + _GRPC_OFFSET)
    )
    ports = {"s3.port": s3_port, "admin.port": admin, "admin.port.grpc": admin + _GRPC_OFFSET}
    for name in _names():
        while name not in ports:
            port = free_port()
            if port not in ports.values():
                ports[name] = port
    return ports

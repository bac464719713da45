"""Connections of webhooks: a name is resolved once, and the connection goes to the address that was checked.

TLS and the header Host keep the name: httpcore takes them from the URL, and asks the backend for the connection alone.
So a name that resolves to another address a moment later (DNS rebinding) gains nothing.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import httpcore

from luna_serving.webhooks.addresses import Address, AddressRefused, Allowed, literal

Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]


async def resolve(host: str, port: int) -> Sequence[Address]:
    """The addresses of a name, in the order in which the system wants them tried.

    Raises:
        OSError: it has none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # An IPv6 address may carry a zone, which no public one needs.
    addresses = [literal(str(each[4][0]).partition("%")[0]) for each in found]
    return [address for address in dict.fromkeys(addresses) if address is not None]


class PinnedBackend(httpcore.AsyncNetworkBackend):
    """Connects to addresses that may be connected to, and to nothing else."""

    def __init__(self, allowed: Allowed, resolve: Resolve = resolve) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the host.

        Raises:
            AddressRefused: one of its addresses may not be connected to; the others are not tried either.
            ConnectError, ConnectTimeout: none can be reached.
        """
        address = literal(host.strip("[]"))
        try:
            addresses = [address] if address is not None else await self._resolve(host, port)
        except OSError as e:
            raise httpcore.ConnectError("the name cannot be resolved") from e
        if any(self._allowed.refuses(each) for each in addresses):
            raise AddressRefused
        error: Exception = httpcore.ConnectError("the name has no address")
        for each in addresses:
            try:
                return await self._backend.connect_tcp(str(each), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as e:
                error = e
        raise error

    async def connect_unix_socket(self, *_: Any, **__: Any) -> httpcore.AsyncNetworkStream:  # noqa: ANN401
        """Refuse: no URL asks for one.

        Raises:
            AddressRefused: always.
        """
        raise AddressRefused

    async def sleep(self, seconds: float) -> None:
        """Wait; httpcore's."""
        await asyncio.sleep(seconds)

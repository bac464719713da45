"""The address of a caller, behind proxies that are trusted to name it.

Every proxy appends the address of its peer to X-Forwarded-For, so only the entries on the right of the first untrusted
one are known to be true (RFC 7239, section 8.1, says why). The walk starts at the peer of Luna's own front proxy,
which `edge.middleware` puts into the scope.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from luna_serving.edge.bodies import Scope

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

HEADER: Final = b"x-forwarded-for"
# The address of a peer that has none, such as a Unix socket.
UNKNOWN: Final = "::"
# Proxies in a row that are looked at; a longer chain is cut.
MAX_HOPS: Final = 16
# Addresses in memory, and the longest header that is kept with one: about 3 MB at most.
CACHED: Final = 4096
_CACHED_BYTES: Final = 512


class TrustedProxies:
    """Finds callers' addresses. Cheap: known pairs of peer and header cost one look-up."""

    def __init__(self, networks: Iterable[str]) -> None:
        """Trust the proxies in these networks.

        Args:
            networks: in CIDR notation, such as 10.0.0.0/8, or addresses.

        Raises:
            ValueError: one is no network.
        """
        self._networks = tuple(network(each) for each in networks)
        self._peer = lru_cache(CACHED)(self._of_peer)
        self._walked = lru_cache(CACHED)(self._walk)

    def address(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str:
        """The caller's address in its canonical form: IPv6 compressed, an IPv4-mapped one as IPv4.

        Args:
            scope: of the connection.
            headers: its headers by name.
        """
        client = scope.get("client")
        address, trusted = self._peer(client[0] if client else "")
        if not trusted or HEADER not in headers:
            return address
        forwarded = b",".join([value for name, value in scope["headers"] if name == HEADER])
        walk = self._walked if len(forwarded) <= _CACHED_BYTES else self._walk
        return walk(address, forwarded)

    def _of_peer(self, host: str) -> tuple[str, bool]:
        found = _address(host.partition("%")[0])
        return (UNKNOWN, False) if found is None else (str(found), self._trusts(found))

    def _walk(self, peer: str, forwarded: bytes) -> str:
        found = peer
        for entry in reversed(forwarded.rsplit(b",", MAX_HOPS)[-MAX_HOPS:]):
            hop = _hop(entry.decode("latin-1").strip())
            if hop is None:
                return found
            found = str(hop)
            if not self._trusts(hop):
                return found
        return found

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def network(text: str) -> Network:
    """A network in CIDR notation, or a single address; an IPv4-mapped one as IPv4."""
    found = ip_network(text)
    mapped = found.network_address.ipv4_mapped if isinstance(found, IPv6Network) else None
    return ip_network((mapped, found.prefixlen - 96)) if mapped is not None and found.prefixlen >= 96 else found


def _hop(entry: str) -> Address | None:
    """An entry of X-Forwarded-For: an address, with or without a port; None if it is malformed."""
    if entry.startswith("["):
        host, bracket, port = entry[1:].partition("]")
        return _address(host, 6) if bracket and (not port or _is_port(port)) else None
    host, colon, port = entry.partition(":")
    if colon and "." in host:
        return _address(host, 4) if _is_port(colon + port) else None
    return _address(entry)


def _is_port(text: str) -> bool:
    return text[:1] == ":" and text[1:].isascii() and text[1:].isdigit() and int(text[1:6]) <= 65535 and len(text) <= 6


def _address(text: str, version: int | None = None) -> Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    if "%" in text or (version is not None and found.version != version):
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found

"""Which addresses a webhook may go to: public ones, and those that the settings allow besides.

A caller chooses the URL and a worker connects to it from inside of the cluster, so a URL must not lead the worker to
what only the inside can reach (server-side request forgery; OWASP, "SSRF Prevention Cheat Sheet"). The URL is checked
when the job is created; what its name resolves to is checked at each try, for the connection that is then made
(`pinned`).
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_LENGTH: Final = 2048
# The ports of mail, ssh and the like understand enough of an HTTP request to be abused; what is above 1023 is open to
# any user's receiver.
WELL_KNOWN: Final = frozenset({80, 443})
FIRST_FREE_PORT: Final = 1024

# The registries of special-purpose addresses (IANA, RFC 6890 and its updates), without those that are reachable from
# everywhere. Written out: the answers of `ipaddress` differ between releases of Python.
REFUSED: Final[tuple[Network, ...]] = tuple(
    ip_network(each)
    for each in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers (CGNAT); in some clouds the metadata service
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local; the metadata service of clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: carries an IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
# All other IPv6 addresses are loopback, mapped or translated IPv4, local, multicast or not assigned.
GLOBAL_UNICAST: Final = ip_network("2000::/3")
_LABEL: Final = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?"
_NAME: Final = re.compile(rf"(?=.{{1,253}}\.?\Z)({_LABEL}\.)*{_LABEL}\.?")


class UrlRefused(ValueError):
    """A webhook cannot go to this URL; the message says why, and the cure."""


class AddressRefused(Exception):
    """A webhook may not connect to what its host resolves to."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What an installation allows beyond https:// to public addresses."""

    http: bool = False
    networks: tuple[Network, ...] = ()

    def refuses(self, address: Address) -> bool:
        """Whether no webhook may connect to the address."""
        if any(address in network for network in self.networks):
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            return self.refuses(address.ipv4_mapped)
        if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
            return True
        return any(address in network for network in REFUSED)


def without_secrets(url: str) -> str:
    """Scheme and host of a webhook's URL: what may be shown to those who may not send to it.

    The rest often is a secret, as of incoming webhooks of chat rooms.
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def check_url(url: str, allowed: Allowed) -> None:
    """Check the URL of a webhook when it is set, without resolving its name.

    Raises:
        UrlRefused: names what is wrong with it.
    """
    if len(url) > MAX_LENGTH:
        raise UrlRefused(f"Must have at most {MAX_LENGTH} characters.")
    if not url.isascii() or any(c <= " " or c in '\\"<>^`{|}\x7f' for c in url):
        raise UrlRefused("Must be ASCII without spaces; percent-encode its path, and write its host in Punycode.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as e:
        raise UrlRefused("Must be a URL such as https://example.com/hook.") from e
    if parts.scheme != "https" and not (parts.scheme == "http" and allowed.http):
        raise UrlRefused("Must begin with https://.")
    if "@" in parts.netloc:
        raise UrlRefused("Must not hold a user or a password; messages are signed instead.")
    if parts.fragment or url.endswith("#"):
        raise UrlRefused("Must not have a fragment (#...): it would not be sent.")
    if port is not None and port not in WELL_KNOWN and port < FIRST_FREE_PORT:
        raise UrlRefused(f"Must use port 443, 80, or one from {FIRST_FREE_PORT} on.")
    _check_host(parts, allowed)


def _check_host(parts: SplitResult, allowed: Allowed) -> None:
    host = (parts.hostname or "").lower()
    address = literal(host)
    if address is not None:
        if allowed.refuses(address):
            raise UrlRefused("Must be a public address: private, loopback, link-local and reserved ones are refused.")
        return
    if not _NAME.fullmatch(host):
        raise UrlRefused("Must name a host, such as https://example.com/hook.")
    last = host.rstrip(".").rsplit(".", 1)[-1]
    if last.isdigit() or re.fullmatch("0x[0-9a-f]*", last):
        raise UrlRefused("Must write an IPv4 address as four decimal numbers, such as 198.41.0.4.")
    if last == "localhost" and allowed.refuses(IPv4Address("127.0.0.1")):
        raise UrlRefused("Must be a public address; localhost is the server itself.")


def literal(host: str) -> Address | None:
    """The address that a URL's host is written as; None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None

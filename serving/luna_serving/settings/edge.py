"""The ingress deployment, and the batches that it makes."""

import re
from ipaddress import ip_network
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from luna_serving.settings.group import Group, Scaled
from luna_serving.settings.openid import Origin

# Serve's own default target of an ingress replica would start a second one at 2 calls under way.
ONGOING_PER_INGRESS = 64
# As in `local.loopback.haproxy_retries`, which imports no installed package.
ROUTE = re.compile(r"(GET|POST) ([A-Za-z0-9_-]+(?:/(?:[A-Za-z0-9_.-]+|\{[a-z_]+\}))*)")


class EdgeSettings(Scaled):
    """The ingress deployment: HTTP in, HTTP out."""

    max_body_bytes: int = Field(
        10 * 1024 * 1024, gt=0, description="Bytes of a request body; a larger one is answered 413."
    )
    request_timeout_s: float = Field(
        30.0, gt=0, description="Seconds until a call is answered 408; a caller may ask for less."
    )
    max_sockets: int = Field(
        12_000,
        gt=0,
        description="WebSockets of one ingress replica; more are refused with 503 before the upgrade. Each takes an "
        "open file and some 40 kB.",
    )
    log_requests: bool = Field(
        default=False,
        description="One log line per request; off by default: it adds a sixth to the edge's CPU time of a call. "
        "Answers of 500 and above are logged in any case.",
    )
    hsts_s: int = Field(
        0,
        ge=0,
        description="max-age of Strict-Transport-Security, in seconds; 0 sends none. TLS ends in front of Luna: set it "
        "(31536000 is a year) where every caller comes over TLS, or have the proxy in front send it.",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Networks of the proxies in front of Luna whose X-Forwarded-For is believed, in CIDR notation, "
        "separated by commas; none by default. Luna's own HAProxy is not named here ([abuse](abuse.md)).",
    )
    retried_routes: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Routes of your own capabilities that HAProxy sends to another replica if one gave no answer, "
        "such as `POST mean`, separated by commas: an `Operation` or a `Query` each ([capabilities](capabilities.md)). "
        "Luna's own are not named here.",
    )
    public_url: Origin = Field(
        "",
        description="Where people reach Luna, such as https://luna.example.com, without a path; OpenID providers send "
        "them back there. `luna up` knows its own.",
    )

    @field_validator("trusted_proxies", "retried_routes", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return tuple(each.strip() for each in value.split(",") if each.strip()) if isinstance(value, str) else value

    @field_validator("retried_routes")
    @classmethod
    def _are_routes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            if not ROUTE.fullmatch(each):
                raise ValueError(f"{each!r} is no route. Write them as POST mean or GET means/{{name}}.")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            try:
                ip_network(each)
            except ValueError as e:
                raise ValueError(f"{e}. Write networks in CIDR notation, such as 10.0.0.0/8,fd00::/8.") from e
        return value


class DispatchSettings(Group):
    """Batching, in each ingress replica."""

    max_queued: int = Field(2_000, gt=0, description="Calls that wait in one lane; more are answered 503 at once.")
    max_batch: int = Field(
        256, gt=0, description="Calls in one round trip to Redis and to a replica: bounds what one slow call delays."
    )
    max_batch_points: int = Field(262_144, gt=0, description="Points in one round trip to a replica, beyond one call.")
    batches_in_flight: int = Field(
        2, ge=1, description="Round trips under way at once: one debits while the one before computes."
    )

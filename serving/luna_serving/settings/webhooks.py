"""The settings of webhooks."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from luna_serving.settings.group import Group


class WebhookSettings(Group):
    """Messages to the receivers of jobs and alerts ([webhooks](webhooks.md))."""

    allow_http: bool = Field(
        default=False,
        description="Whether receivers may be http:// addresses, which encrypt nothing. `luna up` sets true.",
    )
    allow_networks: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Networks that receivers may be in although they are not public, separated by commas, such as "
        "10.20.0.0/16. `luna up` sets 127.0.0.0/8,::1/128.",
    )
    timeout_s: float = Field(
        15.0, gt=0, le=30, description="Seconds that a receiver has to answer; the standard asks for 15 to 30."
    )
    at_once: int = Field(32, ge=1, le=1000, description="Messages that a worker sends at once.")
    at_once_per_account: int = Field(
        4, ge=1, description="Those of them that belong to one account: its slow receivers hold up no other's."
    )

    @field_validator("allow_networks", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return tuple(each.strip() for each in value.split(",") if each.strip()) if isinstance(value, str) else value

    @field_validator("allow_networks")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            _network(each)
        return value

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks of `allow_networks`."""
        return tuple(_network(each) for each in self.allow_networks)


class ReceiverSettings(Group):
    """Receivers of webhooks, in one variable: LUNA_WEBHOOK_ALLOW."""

    allow: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="The same as `LUNA_WEBHOOKS_ALLOW_NETWORKS`; networks of both are allowed."
    )

    @field_validator("allow", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return tuple(each.strip() for each in value.split(",") if each.strip()) if isinstance(value, str) else value

    @field_validator("allow")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            _network(each)
        return value


def _network(written: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(written)
    except ValueError as e:
        raise ValueError(f"{written!r} is not a network: write an address and a length, such as 10.0.0.0/8.") from e

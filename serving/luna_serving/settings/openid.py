"""Settings of OpenID providers, as LUNA_OIDC_PROVIDERS has them. Their client secrets are no settings."""

import re
from ipaddress import ip_address
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from luna_serving.settings.group import Group

# A name is in paths, in a metric's label and in logs.
NAME: Final = r"^[a-z0-9][a-z0-9-]{0,31}$"
ProviderName = Annotated[str, StringConstraints(pattern=NAME)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=256)]
DOMAIN: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


def on_loopback(url: str) -> bool:
    """Whether a URL names this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def secure(url: str, *, loopback: bool = True) -> bool:
    """Whether a URL is https, or http on this machine where that is allowed."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    if not parts.hostname or parts.username is not None or not url.isascii() or not url.isprintable() or " " in url:
        return False
    return parts.scheme == "https" or (loopback and parts.scheme == "http" and on_loopback(url))


def origin(url: str) -> str:
    """A URL without a path, or nothing.

    Raises:
        ValueError: it is another.
    """
    if url and (not secure(url) or urlsplit(url).path not in {"", "/"} or "?" in url or "#" in url):
        raise ValueError("Must be an https URL without a path, or http on this machine.")
    return url.rstrip("/")


Origin = Annotated[str, AfterValidator(origin)]


class RoleRule(Group):
    """A role in an account for those whose claim has a value."""

    claim: Text = Field(
        description="The name of a claim, such as groups, or a JSON pointer such as /realm_access/roles."
    )
    value: Text = Field(description="What the claim is, or what its list holds.")
    account: Text = Field(description="The account's name, <namespace>/<name>.")
    role: Literal["viewer", "member", "admin"] = Field(description="The role that it gives.")


class Provider(Group):
    """One OpenID provider."""

    issuer: Text = Field(description="Its issuer, exactly as its discovery document has it; https.")
    client_id: Text = Field(description="What it calls Luna.")
    label: str = Field("", max_length=64, description="How people know it; by default its name.")
    scopes: tuple[Text, ...] = Field(("openid", "email", "profile"), description="What is asked for.")
    public_client: bool = Field(
        default=False, description="Luna has no client secret there: PKCE alone protects codes."
    )
    userinfo: bool = Field(default=False, description="Read claims from the UserInfo endpoint, too.")
    verified_claim: Text = Field(
        "email_verified", description="The claim that is true if the provider has verified the address."
    )
    email_domains: tuple[str, ...] = Field((), description="Accept addresses of these domains only; by default of all.")
    trust_email: bool = Field(
        default=False,
        description="Accept addresses of `email_domains` without `verified_claim`: whoever runs the provider assigns "
        "them.",
    )
    link_existing: bool = Field(
        default=False,
        description="Let a person in as the user of the verified address although that user has a password or signs "
        "in through another provider.",
    )
    sign_up: bool = Field(default=False, description="Make a user of a verified person who is a member of no account.")
    roles: tuple[RoleRule, ...] = Field((), max_length=1000, description="Roles by claims, given and taken back.")

    @field_validator("issuer")
    @classmethod
    def _is_secure(cls, value: str) -> str:
        if not secure(value) or "?" in value or "#" in value:
            raise ValueError("Must be an https URL without query and fragment, or http on this machine.")
        return value

    @field_validator("scopes")
    @classmethod
    def _has_openid(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "openid" not in value or any(" " in scope for scope in value):
            raise ValueError('Must have "openid" in it, each scope by itself.')
        return value

    @field_validator("email_domains")
    @classmethod
    def _are_domains(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for domain in value:
            if not DOMAIN.fullmatch(domain):
                raise ValueError(f"{domain!r} is no domain in lower case, such as example.com.")
        return value

    @model_validator(mode="after")
    def _trusts_some_domains(self) -> Self:
        if self.trust_email and not self.email_domains:
            raise ValueError("trust_email needs email_domains: name the domains whose addresses the provider assigns.")
        return self


class OidcSettings(Group):
    """Sign-in through OpenID providers ([openid](openid.md))."""

    providers: dict[ProviderName, Provider] = Field(
        {}, description='Providers by name, as JSON: {"keycloak": {"issuer": "https://...", "client_id": "luna"}}.'
    )
    timeout_s: float = Field(5.0, gt=0, le=20, description="Seconds that a provider has for each answer.")
    starts_per_address: int = Field(
        300, gt=0, description="Sign-ins that an address may begin within 10 minutes; each is kept for that long."
    )

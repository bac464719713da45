"""Wires sign-in through the providers of the settings."""

from collections.abc import Mapping
from typing import Final

import httpx

from luna_serving.access.people.metrics import PeopleMetrics
from luna_serving.access.people.openid.flow import OpenIdFlow
from luna_serving.access.people.openid.pending import PendingSignIns
from luna_serving.access.people.openid.provider import OpenIdProvider
from luna_serving.access.people.openid.requests import ProviderRequests
from luna_serving.capabilities.contract import Platform
from luna_serving.settings.openid import Provider
from luna_store.people.identities import Identities

CALLBACK: Final = "/api/v1/auth/oidc/{name}/callback"


def openid_flow(platform: Platform, metrics: PeopleMetrics) -> OpenIdFlow:
    """Wire it.

    Raises:
        ValueError: a provider lacks its client secret, or there is no public URL.
    """
    settings, url = platform.settings.oidc, platform.settings.edge.public_url
    if settings.providers and not url:
        raise ValueError("LUNA_OIDC_PROVIDERS needs LUNA_EDGE_PUBLIC_URL: providers send people back there.")
    providers = {}
    if settings.providers:
        # One for all: reading the certificates of authorities takes tens of milliseconds.
        tls = httpx.create_ssl_context()
        for name, provider in settings.providers.items():
            secret = _secret(name, provider, platform.client_secrets)
            requests = ProviderRequests(settings.timeout_s, tls)
            providers[name] = OpenIdProvider(provider, secret, url + CALLBACK.format(name=name), requests)
    pending = PendingSignIns(platform.redis, settings.starts_per_address)
    prefix = "__Host-" if url.startswith("https:") else ""
    return OpenIdFlow(providers, pending, Identities(platform.engine), metrics, prefix)


def _secret(name: str, provider: Provider, secrets: Mapping[str, str]) -> str | None:
    if provider.public_client:
        return None
    if not secrets.get(name):
        raise ValueError(
            f"LUNA_CLIENT_SECRETS has no secret of the OpenID provider {name}. Add it, or set its public_client."
        )
    return secrets[name]

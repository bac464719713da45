"""The declaration of the account capability, which every application serves."""

from typing import Final

from luna_serving.capabilities.account import routes, token_routes
from luna_serving.capabilities.account.audit import routes as audit_routes
from luna_serving.capabilities.account.audit.loops import audit_retention
from luna_serving.capabilities.account.keys.routes import KeyRoutes
from luna_serving.capabilities.account.loops import LOOPS
from luna_serving.capabilities.account.requests import routes as request_routes
from luna_serving.capabilities.account.requests.loops import forget, retention
from luna_serving.capabilities.contract import Capability, Platform, Routes
from luna_serving.jobs.background import Background
from luna_serving.jobs.loops import Loop
from luna_serving.settings import CapabilitySettings, PlatformSettings
from luna_store.accounts.cache import AccountCache
from luna_store.platform.idempotency import IdempotencyKeys


class AccountSettings(CapabilitySettings):
    """The capability has no settings."""


def serve(platform: Platform, settings: AccountSettings) -> Routes:
    """Wire the routes in an ingress replica."""
    del settings
    return Routes(
        routers=[
            token_routes.router(
                platform.authenticator, platform.authorization, platform.tokens, platform.refused.admit
            ),
            KeyRoutes(
                platform.authorization,
                platform.accounts,
                platform.own_keys,
                IdempotencyKeys(platform.engine),
                AccountCache(platform.engine, platform.redis),
            ).router(),
            routes.router(platform.authorization, platform.accounts, platform.engine, ceilings=platform.ceilings),
            request_routes.router(platform.authorization, platform.engine),
            audit_routes.router(platform.authorization, platform.engine),
        ]
    )


def loops(platform: PlatformSettings, settings: AccountSettings) -> tuple[Loop[Background], ...]:
    """The capability's periodic work."""
    del settings
    return (*LOOPS, retention(platform.requests.retention_days), audit_retention(platform.audit.retention_days))


ACCOUNT: Final = Capability(name="account", settings=AccountSettings, serve=serve, loops=loops, forget=forget)

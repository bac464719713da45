"""The declaration of the account capability, which every application serves."""

from typing import Final

from luna_serving.capabilities.account import routes, token_routes
from luna_serving.capabilities.account.loops import LOOPS
from luna_serving.capabilities.contract import Capability, Platform, Routes
from luna_serving.settings import CapabilitySettings


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
            routes.router(platform.authorization, platform.accounts, platform.engine, ceilings=platform.ceilings),
        ]
    )


ACCOUNT: Final = Capability(name="account", settings=AccountSettings, serve=serve, loops=lambda _: LOOPS)

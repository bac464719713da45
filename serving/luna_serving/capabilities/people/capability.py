"""The declaration of the people capability, which every application serves."""

from datetime import timedelta
from typing import Final

from luna_serving.access.people.metrics import PeopleMetrics
from luna_serving.access.people.passwords import Passwords
from luna_serving.access.people.sign_in import SignIn
from luna_serving.capabilities.contract import Capability, Platform, Routes
from luna_serving.capabilities.people.loops import LOOPS
from luna_serving.capabilities.people.members.routes import router as members_router
from luna_serving.capabilities.people.openid.routes import OpenIdRoutes
from luna_serving.capabilities.people.openid.wiring import openid_flow
from luna_serving.capabilities.people.routes import AuthRoutes
from luna_serving.settings import CapabilitySettings
from luna_store.accounts.cache import AccountCache
from luna_store.people.links import PasswordLinks
from luna_store.people.memberships import Memberships
from luna_store.people.own_members import OwnMembers
from luna_store.people.sessions import Sessions
from luna_store.people.users import Users


class PeopleSettings(CapabilitySettings):
    """The capability has no settings of its own: those of sign-in are the platform's."""


def serve(platform: Platform, settings: PeopleSettings) -> Routes:
    """Wire the routes in an ingress replica."""
    del settings
    engine, common = platform.engine, platform.settings
    users, memberships = Users(engine), Memberships(engine)
    sessions = Sessions(
        engine,
        lifetime=timedelta(seconds=common.session.lifetime_s),
        refresh_lifetime=timedelta(seconds=common.session.refresh_lifetime_s),
        most_per_person=common.session.most_per_person,
    )
    cache, metrics = AccountCache(engine, platform.redis), PeopleMetrics(platform.registry)
    sign_in = SignIn(
        users,
        memberships,
        sessions,
        PasswordLinks(engine),
        Passwords(common.argon2),
        platform.tokens,
        cache,
        metrics,
    )
    auth = AuthRoutes(
        sign_in, users, memberships, platform.authorization, platform.attempts, platform.proxies, platform.refused
    )
    flow = openid_flow(platform, metrics)
    openid = OpenIdRoutes(flow, sign_in, platform.attempts, platform.proxies, common.edge.public_url)
    members = members_router(platform.authorization, memberships, OwnMembers(engine), cache)
    return Routes(routers=[auth.router(), openid.router(), members])


PEOPLE: Final = Capability(name="people", settings=PeopleSettings, serve=serve, loops=lambda _, __: LOOPS)

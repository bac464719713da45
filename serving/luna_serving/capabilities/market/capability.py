"""The declaration of the capability: instruments and prices."""

import logging
from typing import Final

from luna_serving.capabilities.contract import Capability, Platform, Routes
from luna_serving.capabilities.market.answering import PricesService
from luna_serving.capabilities.market.grants import MARKET as NAME
from luna_serving.capabilities.market.loops import loops
from luna_serving.capabilities.market.metrics import MarketMetrics
from luna_serving.capabilities.market.routes import prices, symbols, unconfigured
from luna_serving.capabilities.market.settings import MarketSettings
from luna_serving.objects.wiring import ObjectsNeeded, needed
from luna_serving.prices.located import SERVER
from luna_serving.prices.stored import StoredPrices
from luna_serving.prices.wiring import markets_of

log = logging.getLogger("luna.market")


def serve(platform: Platform, settings: MarketSettings) -> Routes:
    """Wire the routes in an ingress replica."""
    try:
        store = needed(platform.objects, NAME)
    except ObjectsNeeded as e:
        log.warning("%s Its calls answer 503.", e)
        return Routes(routers=[unconfigured.router(platform.authorization)])
    stored = StoredPrices(platform.engine, fresh_s=settings.fresh_s)
    platform.prices.provide(stored)
    markets = markets_of(store, platform.settings, platform.registry)
    service = PricesService(stored, markets, platform.charges, MarketMetrics(platform.registry), settings)
    return Routes(
        operations=[prices.operation(service)],
        routers=[symbols.router(platform.authorization, platform.charges, platform.engine)],
    )


MARKET: Final = Capability(
    name=NAME,
    settings=MarketSettings,
    serve=serve,
    grants=frozenset({SERVER}),
    limits=("history_days",),
    loops=lambda _, settings: loops(settings),
)

"""What market data counts."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter

from luna_serving.telemetry.read_gauges import ReadGauges
from luna_store.prices.retention import MarketState

# Three runs of the loop that reads them.
FRESH_S: Final = 30.0


class MarketMetrics:
    """Of an ingress replica."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._symbols = Counter(
            "luna_market_symbols_answered_total",
            "Symbols whose prices were answered, by the form of the answer.",
            ["form"],
            registry=registry,
        )

    def answered(self, form: str, symbols: int) -> None:
        """Count an answer."""
        self._symbols.labels(form).inc(symbols)


class MarketGauges:
    """The server's market, as the worker that holds the loop reads it from Postgres; and what retention removed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._gauges = ReadGauges(
            {
                "luna_market_data_version": "Current version of the server's market.",
                "luna_market_versions": "Versions of the server's market that are kept.",
                "luna_market_bars": "Bars of the current version.",
                "luna_market_published_timestamp_seconds": "When the current version was published.",
                "luna_market_last_bar_timestamp_seconds": "Start of the last bar of the current version.",
            },
            fresh_s=FRESH_S,
        )
        registry.register(self._gauges)
        self._garbage = Counter(
            "luna_market_garbage_objects_total", "Objects of the market that were removed.", registry=registry
        )

    def read(self, state: MarketState) -> None:
        """Show what Postgres says; nothing while there is no market."""
        if not state.versions:
            self._gauges.set({})
            return
        self._gauges.set(
            {
                "luna_market_data_version": state.newest,
                "luna_market_versions": state.versions,
                "luna_market_bars": state.bars,
                "luna_market_published_timestamp_seconds": state.published,
                "luna_market_last_bar_timestamp_seconds": state.last_bar,
            }
        )

    def swept(self, objects: int) -> None:
        """Count garbage that was removed."""
        self._garbage.inc(objects)

"""Wires what reads bars in a process."""

from prometheus_client import CollectorRegistry

from luna_serving.objects.client import ObjectStore
from luna_serving.objects.wiring import object_store
from luna_serving.prices.local_files import LocalFiles
from luna_serving.prices.mapped import MappedMarkets
from luna_serving.prices.metrics import MappedMetrics
from luna_serving.settings import PlatformSettings, read_settings


def markets_of(store: ObjectStore, settings: PlatformSettings, registry: CollectorRegistry) -> MappedMarkets:
    """Markets that are read from a store, in a process with these settings."""
    prices = settings.prices
    files = LocalFiles(prices.place(settings.data_dir), prices.folder_bytes)
    return MappedMarkets(store, files, MappedMetrics(registry), follow_s=prices.follow_s, most=prices.mapped_files)


def markets_of_environment(registry: CollectorRegistry) -> MappedMarkets | None:
    """Markets for a compute replica, which finds store and settings in its environment; None without S3_ENDPOINT.

    Raises:
        ValueError: a variable is missing or no URL; names it.
    """
    settings = read_settings({}).platform
    store = object_store(settings.objects, registry)
    return None if store is None else markets_of(store, settings, registry)

"""Opens the stores that an import writes to, for programs that have none open."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry

from luna_serving.capabilities.market.importing.publishing import Imported, Order, import_files
from luna_serving.objects.access import ObjectAccess
from luna_serving.objects.client import ObjectStore
from luna_serving.objects.metrics import ObjectMetrics
from luna_serving.settings import read_settings
from luna_store.audit.actors import command
from luna_store.platform.postgres import async_engine


async def import_into(database_url: str, objects: Mapping[str, str], order: Order) -> Imported:
    """As `import_files`, with stores of its own.

    Args:
        database_url: of the migrated database.
        objects: the S3_ variables.
        order: what to import.

    Raises:
        ValueError: there is no object store, or a variable is wrong.
    """
    access = ObjectAccess.from_variables(objects)
    if access is None:
        raise ValueError("There is no object store: set S3_ENDPOINT and the other S3_ variables.")
    store = ObjectStore(access, read_settings({}).platform.objects, ObjectMetrics(CollectorRegistry()))
    engine = async_engine(database_url, actor=command(), pool_size=1)
    try:
        return await import_files(engine, store, order)
    finally:
        await store.close()
        await engine.dispose()

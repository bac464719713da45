"""Imports every table of this installation, for Alembic and for tests that compare tables with migrations."""

import importlib
import pkgutil
from importlib.util import find_spec

from sqlalchemy import MetaData

from luna_store.platform.table import Table

# Tables are declared in the store and in `store/tables.py` of each installed capability.
OURS = (
    "luna_store.platform.idempotency",
    "luna_store.platform.leases",
    "luna_store.audit.tables",
    "luna_store.accounts.tables",
    "luna_store.ledger.tables",
    "luna_store.jobs.tables",
    "luna_store.people.tables",
    "luna_store.prices.tables",
    "luna_store.requests.tables",
)
CAPABILITIES = "luna_serving.capabilities"


def collect() -> MetaData:
    """Import every module that declares tables; the tables are then in the metadata.

    Finds them by folder, so that no list has to be maintained and only the tables of a capability are imported.
    """
    for module in (*OURS, *_of_capabilities()):
        importlib.import_module(module)
    return Table.metadata


def _of_capabilities() -> list[str]:
    if find_spec("luna_serving") is None or (package := find_spec(CAPABILITIES)) is None:
        return []  # the operator's image
    folders = pkgutil.iter_modules(package.submodule_search_locations)
    stores = [f"{CAPABILITIES}.{folder.name}.store" for folder in folders if folder.ispkg]
    return [f"{store}.tables" for store in stores if find_spec(store) and find_spec(f"{store}.tables")]

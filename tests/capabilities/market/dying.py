"""An import in a process of its own, which kills itself at a step."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from luna_serving.capabilities.market.importing import publishing
from luna_serving.objects.client import ObjectStore
from luna_serving.objects.wiring import object_store
from luna_serving.settings import ObjectsSettings
from luna_store.platform.postgres import async_engine
from luna_store.prices import publishing as store_publishing

OWNERS: dict[str, Any] = {
    "claim": store_publishing,
    "publish": store_publishing,
    "announce": publishing,
    "put_file": ObjectStore,
}


def dying(function: Callable[..., Awaitable[Any]], when: str) -> Callable[..., Awaitable[Any]]:
    @wraps(function)
    async def killed(*arguments: Any, **named: Any) -> Any:
        if when == "after":
            await function(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    return killed


async def main(step: str, path: str) -> None:
    name, when = step.split(":")
    setattr(OWNERS[name], name, dying(getattr(OWNERS[name], name), when))
    store = object_store(ObjectsSettings(), CollectorRegistry())
    assert store is not None
    await publishing.import_files(async_engine(os.environ["DATABASE_URL"]), store, publishing.Order([Path(path)]))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

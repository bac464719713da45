"""The declaration of the capability: uploads, validation, and the library of data sets."""

import logging
from typing import Final

from luna_serving.capabilities.contract import Capability, Platform, Routes
from luna_serving.capabilities.datasets.job_kinds import job_kinds
from luna_serving.capabilities.datasets.library.copies import Copies
from luna_serving.capabilities.datasets.library.series import SetSeries
from luna_serving.capabilities.datasets.loops import forget, loops
from luna_serving.capabilities.datasets.routes import library, unconfigured, validation
from luna_serving.capabilities.datasets.routes.uploads import UploadRoutes
from luna_serving.capabilities.datasets.settings import DatasetsSettings
from luna_serving.capabilities.datasets.store.starting import STORED_BYTES
from luna_serving.capabilities.datasets.store.tables import (
    Dataset,
    DatasetFile,
    DatasetName,
    DatasetObject,
    DatasetReport,
)
from luna_serving.capabilities.datasets.uploads.arrivals import PartSizes
from luna_serving.capabilities.datasets.uploads.service import Uploads
from luna_serving.capabilities.datasets.wire.reading import Limits
from luna_serving.objects.multipart import MOST_PARTS
from luna_serving.objects.wiring import ObjectsNeeded, needed
from luna_store.platform.idempotency import IdempotencyKeys

log = logging.getLogger("luna.datasets")

NAME: Final = "datasets"


def serve(platform: Platform, settings: DatasetsSettings) -> Routes:
    """Wire the routes in an ingress replica."""
    try:
        store = needed(platform.objects, NAME)
    except ObjectsNeeded as e:
        log.warning("%s Its calls answer 503.", e)
        return Routes(routers=[unconfigured.router(platform.authorization)])
    sizes = PartSizes(settings.part_bytes, MOST_PARTS)
    uploads = Uploads(platform.engine, store, platform.jobs, sizes, most_sets=settings.max_sets)
    edge = platform.settings.edge
    platform.series.provide(SetSeries(platform.engine, Copies(store, settings.series_cache_bytes)))
    return Routes(
        routers=[
            UploadRoutes(
                platform.authorization,
                uploads,
                IdempotencyKeys(platform.engine),
                Limits(settings.max_files, settings.max_file_bytes),
                max_body_bytes=edge.max_body_bytes,
                timeout_s=edge.request_timeout_s,
            ).router(),
            validation.router(platform.authorization, platform.engine, store, timeout_s=edge.request_timeout_s),
            library.router(platform.authorization, platform.engine, store),
        ]
    )


DATASETS: Final = Capability(
    name=NAME,
    settings=DatasetsSettings,
    serve=serve,
    limits=(STORED_BYTES,),
    tables=(DatasetName, Dataset, DatasetFile, DatasetObject, DatasetReport),
    job_kinds=job_kinds,
    loops=lambda _, settings: loops(settings),
    forget=forget,
)

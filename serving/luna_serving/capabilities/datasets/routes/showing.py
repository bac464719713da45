"""The status of a set as its answer, which two routes give."""

from typing import Any

import orjson

from luna_serving.capabilities.datasets.library.states import Status
from luna_serving.capabilities.datasets.wire.answers import status_json


def shown(status: Status) -> dict[str, Any]:
    """The answer of the status."""
    report = orjson.loads(status.report) if status.report is not None else {}
    return status_json(status.record, report, status.progress, status.error)

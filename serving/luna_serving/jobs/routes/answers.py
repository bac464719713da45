"""Answers that show one job."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import Response

from luna_serving.jobs.routes.parts import answered
from luna_serving.jobs.routes.wire import dumped, look_again_s, matches, page_of, path_of, tag_of
from luna_store.jobs.reading import JobDetail

# Documentation of the headers.
TAG: Final[dict[str, Any]] = {"ETag": {"schema": {"type": "string"}}}
LIVE: Final[dict[str, Any]] = {"Retry-After": {"schema": {"type": "integer"}, "description": "While it is live."}}
LOCATION: Final[dict[str, Any]] = {"Location": {"schema": {"type": "string"}, "description": "The job."}}


def shown(
    detail: JobDetail,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    *,
    location: bool = False,
    if_none_match: str | None = None,
) -> Response:
    """A job as it is now.

    Args:
        detail: the job.
        status: of the answer.
        headers: more of them.
        location: whether Location names it.
        if_none_match: the caller's; where it names the present state, the answer is 304.
    """
    now = datetime.now(UTC)
    document = page_of(detail, now)
    named = {"ETag": tag_of(document), **(headers or {})}
    if detail.job.status.live:
        named["Retry-After"] = str(look_again_s(detail.job, now))
    if location:
        named["Location"] = path_of(detail.job)
    if matches(if_none_match, named["ETag"]):
        return Response(status_code=304, headers=named)
    return answered(dumped(document), status, named)

"""The manifest of a job: what it takes to run it again, and to tell whether the result is the same."""

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import orjson

from luna_serving.jobs.kinds import JobPlan
from luna_serving.jobs.routes.wire import dumped, page_of
from luna_store.jobs.reading import JobDetail, Manifest, StoredResult

# What results depend on.
PACKAGES: Final = ("luna", "jax", "jaxlib", "numpy", "scipy")
VERSIONS: Final = "versions"
PARAMETERS: Final = "parameters_sha256"


@cache
def versions() -> Mapping[str, str]:
    """The versions of this installation."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def stamped(plan: JobPlan) -> JobPlan:
    """The plan, with versions and the digest of its parameters in the manifest."""
    digest = hashlib.sha256(plan.parameters).hexdigest()
    return replace(plan, manifest={**plan.manifest, VERSIONS: dict(versions()), PARAMETERS: digest})


def manifest(found: Manifest, detail: JobDetail, result: StoredResult | None) -> bytes:
    """The manifest as JSON."""
    page = page_of(detail, detail.job.created_at)
    document: dict[str, Any] = {
        VERSIONS: {},
        PARAMETERS: None,
        **found.manifest,
        "id": page["id"],
        "kind": found.kind,
        "status": page["status"],
        "parameters": None if found.parameters is None else orjson.Fragment(found.parameters),
        "result_sha256": None if result is None else result.sha256,
        "artifacts": page["artifacts"],
    }
    return dumped(document)

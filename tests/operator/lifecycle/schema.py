"""The fields of a spec, read from its CustomResourceDefinition."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

CRDS = Path(__file__).resolve().parents[3] / "crds"


def spec_fields(kind: str) -> set[str]:
    """Every field of `spec` that holds a value, as `rateLimit.burst`."""
    [version] = yaml.safe_load((CRDS / f"{kind}.yaml").read_text())["spec"]["versions"]
    return set(_leaves(version["schema"]["openAPIV3Schema"]["properties"]["spec"], ""))


def _leaves(schema: dict[str, Any], path: str) -> Iterator[str]:
    if schema["type"] != "object" or "additionalProperties" in schema:
        yield path
    for name, inner in schema.get("properties", {}).items():
        yield from _leaves(inner, f"{path}.{name}".lstrip("."))

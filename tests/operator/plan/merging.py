"""RFC 7386, JSON Merge Patch, as section 2 has it in pseudo-code: the reference for the patches that we make."""

from __future__ import annotations

from typing import Any


def merge_patch(target: Any, patch: Any) -> Any:
    """MergePatch(Target, Patch)."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def as_stored(value: Any) -> Any:
    """A status without what means nothing in it: nulls, which the API server drops, and objects left empty."""
    if isinstance(value, list):
        return [as_stored(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {name: as_stored(item) for name, item in value.items() if item is not None}
    return {name: item for name, item in kept.items() if item != {}}

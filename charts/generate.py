"""Writes what charts/luna says of the application's settings: `python charts/generate.py`; a test compares.

In values.schema.json these are `serving.settings` and `serving.capabilities`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from luna_serving.app import CAPABILITIES
from luna_serving.settings import Group, PlatformSettings, ReplicaSettings, Scaled

SCHEMA = Path(__file__).parent / "luna" / "values.schema.json"
# Scaling has values of its own: `replicas`, `cpus` and `gpus`; that of the workers is `serving.background`.
OF_WORKERS = frozenset({"replicas", "replicas_max", "replicas_per_node", "job_slots", "cpus"})
SCALING = frozenset({*Scaled.model_fields, *ReplicaSettings.model_fields, *OF_WORKERS})


def with_settings(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, with what the settings say in its place."""
    serving = schema["properties"]["serving"]["properties"]
    serving["settings"] = closed(
        "Settings of luna_serving.settings by group, see docs/configuration.md.",
        {name: group_schema(group) for name, group in platform_groups().items()},
    )
    serving["capabilities"] = closed(
        "What is served, beside `account`.",
        {
            each.name: closed(
                f"The capability {each.name}.",
                {
                    "enabled": {"description": "Serve it.", "type": "boolean"},
                    **(serving_scale(serving) if each.replica is not None else {}),
                    "settings": group_schema(each.settings),
                },
            )
            for each in CAPABILITIES
            if each.settings.model_fields
        },
    )
    return schema


def platform_groups() -> dict[str, type[Group]]:
    """The groups of settings that belong to no capability."""
    groups = {name: field.annotation for name, field in PlatformSettings.model_fields.items()}
    return {name: group for name, group in groups.items() if isinstance(group, type) and issubclass(group, Group)}


def group_schema(group: type[Group]) -> dict[str, Any]:
    """The settings of one group, without those of scaling."""
    schema = group.model_json_schema()
    written = inlined(schema["properties"], schema.get("$defs", {}))
    fields = {
        name: {k: v for k, v in written[name].items() if k not in {"title", "default"}}
        for name in group.model_fields
        if name not in SCALING
    }
    return closed((group.__doc__ or "").partition("\n")[0], fields)


def inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:  # noqa: ANN401  JSON
    """A schema with what it refers to in place: here it stands in another document, which lacks the definitions."""
    if isinstance(schema, list):
        return [inlined(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {name: inlined(value, definitions) for name, value in schema.items()}


def serving_scale(serving: dict[str, Any]) -> dict[str, Any]:
    """`replicas`, `cpus` and `gpus` of a capability: the first two as of the ingress."""
    gpus = {
        "description": "GPUs that Ray reserves for each; a part of 1 shares one.",
        "type": "number",
        "minimum": 0,
        "maximum": 64,
    }
    return {**serving["ingress"]["properties"], "gpus": gpus}


def closed(description: str, properties: dict[str, Any]) -> dict[str, Any]:
    """An object with these members and no others."""
    return {
        "description": description,
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(with_settings(json.loads(SCHEMA.read_text())), indent=2, ensure_ascii=False) + "\n")

"""The CRDs as they are written and as the API server took them."""

from collections.abc import Iterator
from typing import Any

import yaml
from tests.cluster.kubernetes import Kubernetes
from tests.operator.crds.conftest import CRDS

from luna_store.accounts.tables import (
    DEFAULT_QUOTA_LIMIT,
    DEFAULT_RATE_BURST,
    DEFAULT_RATE_PER_SECOND,
    RATE_HIGHEST,
    RATE_LOWEST,
)
from luna_store.quota.windows import QuotaWindow

Schema = dict[str, Any]


def schema_of(crd: dict[str, Any]) -> Schema:
    [version] = crd["spec"]["versions"]
    return version["schema"]["openAPIV3Schema"]


def schema(kind: str) -> Schema:
    return schema_of(yaml.safe_load((CRDS / f"{kind}.yaml").read_text()))


def fields(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Walk through a schema: each field's path and schema."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from fields(inner, f"{path}.{name}")
    if "items" in schema:
        yield from fields(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from fields(schema["additionalProperties"], f"{path}.*")


def test_the_kinds_are_served_with_structural_schemas(luna_cluster: Kubernetes, crd: dict[str, Any]):
    served = luna_cluster.get("crd", crd["metadata"]["name"])
    conditions = {condition["type"]: condition["status"] for condition in served["status"]["conditions"]}
    assert conditions["Established"] == conditions["NamesAccepted"] == "True"
    # There only to say that a schema is not structural, or the OpenAPI document lacks it.
    assert "NonStructuralSchema" not in conditions
    assert served["status"]["storedVersions"] == ["v1"]


def test_the_api_server_kept_every_word_of_the_schema(luna_cluster: Kubernetes, crd: dict[str, Any]):
    served = luna_cluster.get("crd", crd["metadata"]["name"])
    assert schema_of(served) == schema_of(crd)
    [here], [there] = crd["spec"]["versions"], served["spec"]["versions"]
    assert there["additionalPrinterColumns"] == here["additionalPrinterColumns"]
    assert there.get("selectableFields") == here.get("selectableFields")


def test_no_field_is_undocumented(crd: dict[str, Any]):
    # The API server allows no description on metadata.
    all_fields = [(path, field) for path, field in fields(schema_of(crd)) if not path.startswith(".metadata")]
    assert [path for path, field in all_fields if not field.get("description", "").endswith(".")] == []
    columns = crd["spec"]["versions"][0]["additionalPrinterColumns"]
    assert [column["name"] for column in columns if not column.get("description", "").endswith(".")] == []


def test_every_text_of_a_spec_is_bounded(crd: dict[str, Any]):
    # Unbounded, a CEL rule's estimated cost is; and an object in etcd should stay small.
    spec = schema_of(crd)["properties"]["spec"]
    texts = [(path, field) for path, field in fields(spec) if field["type"] == "string" and "enum" not in field]
    assert [path for path, field in texts if "maxLength" not in field] == []
    assert [path for path, field in fields(spec) if field["type"] == "array" and "maxItems" not in field] == []


WIDTHS = {"int32", "int64"}


def test_every_rule_has_a_message(crd: dict[str, Any]):
    rules = [
        (path, rule) for path, field in fields(schema_of(crd)) for rule in field.get("x-kubernetes-validations", ())
    ]
    assert rules
    assert [path for path, rule in rules if not rule.get("message")] == []
    # OpenAPI's own message for a pattern tells no human what to write.
    # Nor does that for a format; those of integers only say how wide they are.
    spec = schema_of(crd)["properties"]["spec"]
    unclear = [path for path, field in fields(spec) if "pattern" in field or field.get("format", "int32") not in WIDTHS]
    assert unclear == []


def without_words(schema: Any) -> Any:
    """Return a schema without descriptions and messages."""
    if isinstance(schema, dict):
        return {name: without_words(part) for name, part in schema.items() if name not in {"description", "message"}}
    return [without_words(part) for part in schema] if isinstance(schema, list) else schema


def test_account_and_tier_have_one_schema_for_what_both_hold():
    account, tier = (schema(kind)["properties"]["spec"]["properties"] for kind in ("account", "tier"))
    shared = ["quota", "rateLimit", "allowed", "allowedModels", "limits"]
    assert [without_words(account[part]) for part in shared] == [without_words(tier[part]) for part in shared]


def test_what_a_tier_may_give_has_no_default_in_an_account():
    spec = schema("account")["properties"]["spec"]["properties"]
    parts = ["displayName", "tier", "quota", "rateLimit", "allowed", "allowedModels", "limits"]
    assert [path for part in parts for path, field in fields(spec[part], part) if "default" in field] == []


def test_every_default_stands_in_the_description(crd: dict[str, Any]):
    told = {
        path: str(field["default"]).lower() in field["description"].lower()
        for path, field in fields(schema_of(crd)["properties"]["spec"])
        if "default" in field and field["type"] == "string"
    }
    assert False not in told.values()


def test_the_descriptions_and_bounds_are_those_of_the_store(crd: dict[str, Any]):
    spec = schema_of(crd)["properties"]["spec"]["properties"]
    quota, rate = spec["quota"]["properties"], spec["rateLimit"]["properties"]
    assert quota["window"]["enum"] == [window.value for window in QuotaWindow]
    assert f"{DEFAULT_QUOTA_LIMIT}." in quota["limit"]["description"]
    assert f"{DEFAULT_RATE_PER_SECOND:g}." in rate["requestsPerSecond"]["description"]
    assert f"{DEFAULT_RATE_BURST}." in rate["burst"]["description"]
    assert (rate["requestsPerSecond"]["minimum"], rate["requestsPerSecond"]["maximum"]) == (RATE_LOWEST, RATE_HIGHEST)
    assert rate["burst"]["maximum"] == RATE_HIGHEST

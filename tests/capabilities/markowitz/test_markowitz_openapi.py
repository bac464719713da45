"""The OpenAPI operation is whole: every schema that it refers to is there, and shows what the parser takes."""

import re
from unittest.mock import Mock

import orjson

from luna_serving.capabilities.markowitz.door import door


def test_every_reference_has_its_schema() -> None:
    operation = dict(door(Mock(), Mock()).openapi)
    text = orjson.dumps(operation).decode()
    named = set(re.findall(r'"#/components/schemas/(\w+)"', text)) - {"Problem"}
    assert named <= operation["x-schemas"].keys()
    assert "$defs" not in text


def test_the_body_shows_references_and_estimators() -> None:
    schemas = door(Mock(), Mock()).openapi["x-schemas"]
    body = schemas["MarkowitzRequest"]["properties"]
    assert {"$ref": "#/components/schemas/SymbolsForm"} in body["prices"]["anyOf"]
    assert {"$ref": "#/components/schemas/BlackLittermanForm"} in body["estimator"]["anyOf"]
    assert "from" in schemas["TurnoverForm"]["properties"]

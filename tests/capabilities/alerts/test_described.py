"""The examples in the OpenAPI document are bodies that the routes take."""

from typing import Any

import pytest

from luna_serving.capabilities.alerts.routes.silences import SilenceBody
from luna_serving.capabilities.alerts.routes.simulate import Simulate
from luna_serving.capabilities.alerts.rules.documents import check_rule
from luna_serving.capabilities.alerts.rules.schemas import EXAMPLES, RuleDocument
from luna_serving.edge.openapi import json_request
from luna_serving.webhooks.addresses import Allowed
from luna_serving.wire.forms import read_form


def shown(schema: Any) -> list[dict[str, Any]]:
    """The examples of a body, as the document has them."""
    examples: list[dict[str, Any]] = json_request(schema)["requestBody"]["content"]["application/json"]["schema"][
        "examples"
    ]
    return examples


@pytest.mark.parametrize("kind", ["expr", "threshold", "anomaly"])
def test_there_is_an_example_of_each_form_of_a_rule(kind: str) -> None:
    assert shown(RuleDocument) == EXAMPLES
    assert [each for each in EXAMPLES if check_rule(each, Allowed()).rule.kind == kind]


def test_the_examples_of_silences_and_simulations_are_taken() -> None:
    [silence], [simulation] = shown(SilenceBody), shown(Simulate)
    assert read_form(SilenceBody, silence).comment == "maintenance"
    assert read_form(Simulate, simulation).rule["expr"] == "cpu > 0.9"
    assert check_rule({"name": "simulated", **simulation["rule"]}, Allowed()).rule.holds.for_ms == 60_000

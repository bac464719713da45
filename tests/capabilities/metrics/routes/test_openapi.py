"""The OpenAPI descriptions have examples, and the examples are what the routes take."""

from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest

from luna_serving.capabilities.contract import Platform
from luna_serving.capabilities.metrics.ingest.checking import Bounds
from luna_serving.capabilities.metrics.ingest.influx import InfluxParser
from luna_serving.capabilities.metrics.ingest.json_batch import JsonParser
from luna_serving.capabilities.metrics.ingest.json_sample import parse_sample
from luna_serving.capabilities.metrics.ingest.series_cache import SeriesCache
from luna_serving.capabilities.metrics.routes import operations
from luna_serving.capabilities.metrics.routes.examples import ANSWERS, BODIES, PARAMETERS
from luna_serving.capabilities.metrics.settings import MetricsSettings
from luna_serving.edge.operation import Exchange
from luna_serving.engines.promql.api import parse
from luna_serving.samples.client import CAPABILITY

BOUNDS = Bounds.at(1_795_867_200_000, 86_400_000, 30, 10_000)


def served() -> list[Exchange]:
    # What is looked at is made without a call: the stores are never asked.
    platform = SimpleNamespace(charges=None, shards={CAPABILITY: None})
    return operations.of(cast("Platform", platform), MetricsSettings())


@pytest.mark.parametrize("operation", served(), ids=lambda each: f"{each.method} {each.path}")
def test_a_description_has_examples_and_says_what_is_required(operation: Exchange) -> None:
    described: dict[str, Any] = dict(operation.openapi)
    for parameter in described["parameters"]:
        assert not parameter["required"] or parameter["example"]
        assert parameter["description"]
    named = {each["name"] for each in described["parameters"] if each["in"] == "query"}
    assert named == operation.parameters
    if success := described["responses"].get("200"):
        assert success["content"]["application/json"]["example"] == ANSWERS[operation.path]
    for media_type, body in described.get("requestBody", {"content": {}})["content"].items():
        assert "example" in body or "protobuf" in media_type or not operation.parameters & {"query", "match[]"}


def test_every_example_is_of_an_operation() -> None:
    assert BODIES.keys() | ANSWERS.keys() <= {each.path for each in served()}


def test_the_bodies_are_what_the_parsers_take() -> None:
    cache = SeriesCache
    assert parse_sample(orjson.dumps(BODIES["metrics/ingest"]), BOUNDS, cache()).batch.samples == 1
    batch = JsonParser(cache()).parse(orjson.dumps(BODIES["metrics/batch"]), BOUNDS)
    assert (batch.batch.samples, batch.rejections.items) == (2, 0)
    lines = InfluxParser(cache()).parse(BODIES["influx/write"].encode(), "s", BOUNDS)
    assert (lines.batch.samples, lines.rejections.items) == (2, 0)
    for text in (PARAMETERS["query"], PARAMETERS["match[]"]):
        parse(text)

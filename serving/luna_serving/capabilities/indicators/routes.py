"""The operations of the indicators routes, with their OpenAPI descriptions."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from luna_serving.capabilities.indicators.calls.batch import BatchCalls
from luna_serving.capabilities.indicators.calls.single import Parsing, SingleCalls
from luna_serving.capabilities.indicators.rendering.answers import FORMS, entity_tag
from luna_serving.capabilities.indicators.wire.catalogue import catalogue
from luna_serving.capabilities.indicators.wire.formulas import ANCHOR, BENCHMARK, CAPABILITY
from luna_serving.capabilities.indicators.wire.query import NUMBERS, PARAMETERS
from luna_serving.capabilities.indicators.wire.schemas import CatalogueAnswer, IndicatorsAnswer, IndicatorsRequest
from luna_serving.edge.openapi import COMPUTED, describe, problem_responses
from luna_serving.edge.operation import Answer, Asked, Exchange, Query
from luna_serving.engines.indicators.gaps import Gaps
from luna_serving.jobs.routes.wire import matches
from luna_serving.prices.intervals import Interval
from luna_serving.prices.located import Adjust
from luna_store.people.roles import Role

NOT_MODIFIED: Final = {"description": "If-None-Match names this answer. Charged as 200."}
CACHE_HEADERS: Final[Mapping[str, Any]] = {
    "ETag": {"schema": {"type": "string"}},
    "Cache-Status": {"schema": {"type": "string"}, "description": "RFC 9211: a hit, or why not."},
}
BINARY: Final = {form: {"schema": {"type": "string", "format": "binary"}} for form in FORMS[1:]}


def operations(calls: SingleCalls, parsing: Parsing, batches: BatchCalls) -> Sequence[Query | Exchange]:
    """The routes below `/api/v1/{account_id}/`."""
    listed = catalogue()
    tag = entity_tag(listed)

    async def list_all(asked: Asked) -> Answer:
        known = asked.headers.get(b"if-none-match")
        if matches(None if known is None else known.decode("latin-1"), tag):
            return Answer(b"", 304, [(b"etag", tag.encode())])
        return Answer(listed, 200, [(b"content-type", b"application/json"), (b"etag", tag.encode())])

    single = describe(
        "One indicator of one instrument",
        "Computed from the first bar of history, then cut to `start` and `end`. Costs 1 unit, from the cache, too.",
        None,
        IndicatorsAnswer,
    )
    many = describe(
        "Many indicators of many instruments, or of inline bars",
        "An item that is wrong has an entry in `errors` and costs nothing; the others are answered. Costs 1 unit per "
        "instrument and indicator that is answered.",
        IndicatorsRequest,
        IndicatorsAnswer,
    )
    whole = describe(
        "All indicators", "With parameters, outputs, lookback and stability. Costs nothing.", None, CatalogueAnswer
    )
    return (
        Exchange(
            "GET",
            "indicators",
            list_all,
            openapi={
                **whole,
                "responses": _responses(whole, (401, 403, 404, 408, 422, 429, 503), {"ETag": CACHE_HEADERS["ETag"]}),
            },
            capability=CAPABILITY,
            least=Role.VIEWER,
        ),
        Exchange(
            "POST",
            "indicators",
            batches.serve,
            openapi={**many, "responses": _responses(many, (*COMPUTED, 406), CACHE_HEADERS, tables=True)},
            capability=CAPABILITY,
        ),
        Query(
            "indicators/{name}",
            calls,
            parsing.parse,
            PARAMETERS,
            {
                **single,
                "parameters": _parameters(),
                "responses": _responses(single, (401, 403, 404, 406, 408, 422, 429, 503), CACHE_HEADERS, tables=True),
            },
            capability=CAPABILITY,
        ),
    )


def _responses(
    described: Mapping[str, Any], statuses: Sequence[int], headers: Mapping[str, Any], *, tables: bool = False
) -> dict[str, Any]:
    good = {**described["responses"]["200"], "headers": headers}
    if tables:
        good["content"] = {**good["content"], **BINARY}
    return {"200": good, "304": NOT_MODIFIED, **problem_responses(statuses)}


def _parameters() -> list[dict[str, Any]]:
    def of_query(name: str, schema: Mapping[str, Any], text: str, *, required: bool = False) -> dict[str, Any]:
        return {"name": name, "in": "query", "required": required, "description": text, "schema": schema}

    time = {"type": "string", "examples": ["2012-12-03", "2012-12-03T15:30:00Z"]}
    numbers = [
        of_query(name, {"type": kind}, "A parameter of the indicator; GET /indicators has its default and range.")
        for name, kind in sorted(NUMBERS.items())
    ]
    return [
        {
            "name": "name",
            "in": "path",
            "required": True,
            "description": "Of the catalogue, or `custom:` and the name of an own indicator.",
            "schema": {"type": "string"},
        },
        {
            "name": "If-None-Match",
            "in": "header",
            "required": False,
            "description": "Entity tags that are known.",
            "schema": {"type": "string"},
        },
        of_query("symbol", {"type": "string", "minLength": 1, "maxLength": 64}, "Such as AAPL.", required=True),
        of_query("interval", {"type": "string", "enum": [e.value for e in Interval], "default": "1d"}, "Of the bars."),
        of_query("start", time, "First bar shown, inclusive, UTC."),
        of_query("end", time, "Last bar shown, inclusive."),
        of_query("adjust", {"type": "string", "enum": [e.value for e in Adjust], "default": "splits"}, "Of prices."),
        of_query("as_of", time, "Answers as the data stood then."),
        of_query(
            "gaps", {"type": "string", "enum": [e.value for e in Gaps], "default": "skip"}, "How gaps are treated."
        ),
        of_query(ANCHOR, time, "Where cumulative indicators begin; default: the first bar."),
        of_query(BENCHMARK, {"type": "string"}, "The second symbol of beta, correl and kalman_beta."),
        *numbers,
    ]

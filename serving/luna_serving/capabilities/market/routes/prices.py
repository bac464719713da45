"""`GET /prices`, an operation in front of FastAPI."""

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

from luna_serving.capabilities.market.answering import Caller, PricesService
from luna_serving.capabilities.market.wire.prices import FORMS, OTHER_FORMS, Missed
from luna_serving.capabilities.market.wire.request import PARAMETERS, Direction, read
from luna_serving.capabilities.market.wire.schemas import PricesAnswer
from luna_serving.edge.openapi import describe, problem_responses
from luna_serving.edge.operation import Answer, Asked, Exchange, Headers
from luna_serving.prices.intervals import Interval
from luna_serving.prices.located import Adjust
from luna_serving.wire.tabular import acceptable

DESCRIPTION: Final = """
Bars of up to `max_symbols` symbols, by `Accept` as JSON, CSV, Arrow or Parquet. One unit for each symbol that is
answered, also with 304. A symbol that cannot be answered stands under `errors` (in tables: in the header
`Luna-Errors`, and in the metadata of Arrow and Parquet); only if none can be, the answer is an error.
"""
# Symbols whose errors the header lists.
LISTED: Final = 20
_WORDS: Final = {
    "symbols": ("Separated by commas.", {"type": "string"}),
    "interval": ("", {"type": "string", "enum": [each.value for each in Interval], "default": "1d"}),
    "start": ("First bar, inclusive: a date, or a date and time; without an offset in UTC.", {"type": "string"}),
    "end": ("Last bar, inclusive; a date means all its bars.", {"type": "string"}),
    "adjust": (
        "For nothing, for splits, or for splits and dividends.",
        {"type": "string", "enum": [each.value for each in Adjust], "default": "splits"},
    ),
    "limit": (
        "Bars of each symbol, at most; with `order=desc` the newest.",
        {"type": "integer", "minimum": 1},
    ),
    "order": ("By time.", {"type": "string", "enum": [each.value for each in Direction], "default": "asc"}),
    "as_of": ("Answer as the data stood then; a date means its end.", {"type": "string"}),
    "cursor": ("`next_cursor` of the page before; the other parameters stay the same.", {"type": "string"}),
}


def operation(service: PricesService) -> Exchange:
    """The operation."""

    async def serve(asked: Asked) -> Answer:
        accept = asked.headers.get(b"accept", b"*/*").decode("latin-1")
        form = acceptable(accept, FORMS)
        request = read(asked.parameters, service.settings.max_symbols)
        given = asked.headers.get(b"if-none-match")
        caller = Caller(asked.account_id, asked.credential, asked.standing)
        answered = await service.answer(caller, request, form, None if given is None else given.decode("latin-1"))
        # The edge shows the standing after the charge.
        asked.standing = answered.standing
        headers: list[tuple[bytes, bytes]] = [
            (b"etag", answered.etag.encode()),
            (b"vary", b"Accept, Authorization, X-API-Key"),
            (b"cache-control", b"private, no-cache"),
        ]
        if answered.body is None:
            return Answer(status=304, headers=headers)
        headers.append((b"content-type", form.encode()))
        headers += _errors(answered.missed)
        if answered.next_cursor is not None:
            headers.append((b"link", _next(asked, answered.next_cursor)))
        return Answer(answered.body, headers=headers)

    return Exchange("GET", "prices", serve, PARAMETERS, openapi(), capability="market")


def openapi() -> dict[str, Any]:
    """The operation object."""
    described = dict(describe("Prices", DESCRIPTION.strip(), None, PricesAnswer))
    answers = {**described["responses"], **problem_responses((406,))}
    content = {**answers["200"]["content"], **OTHER_FORMS}
    answers["200"] = {**answers["200"], "content": content}
    answers["304"] = {"description": "The caller has the answer, by `If-None-Match`; charged."}
    for status in ("413", "415"):
        del answers[status]  # there is no body
    parameters = [
        {"name": name, "in": "query", "required": name == "symbols", "schema": schema, "description": words}
        for name, (words, schema) in _WORDS.items()
    ]
    return {**described, "parameters": parameters, "responses": answers}


def _errors(missed: Sequence[Missed]) -> Headers:
    if not missed:
        return ()
    listed = ", ".join(f"{quote(each.symbol)}={each.problem.slug}" for each in missed[:LISTED])
    return [(b"luna-errors", listed.encode())]


def _next(asked: Asked, cursor: str) -> bytes:
    """The next page, as RFC 8288 links to it; relative to this one."""
    query = [(name, value) for name, values in asked.parameters.query.items() for value in values if name != "cursor"]
    return f'<?{urlencode([*query, ("cursor", cursor)])}>; rel="next"'.encode()

"""`GET /indicators/custom`: an operation of the lean edge, whose `indicators/{name}` would hide a route behind it."""

from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field

from luna_serving.capabilities.indicators.custom.documents import shown
from luna_serving.capabilities.indicators.custom.schemas import CustomPage
from luna_serving.capabilities.indicators.store.custom import CustomIndicators
from luna_serving.capabilities.indicators.wire.formulas import CAPABILITY
from luna_serving.edge.cursors import LONGEST_PAGE, MAX_CURSOR, PAGE, Cursors
from luna_serving.edge.openapi import describe, problem_responses
from luna_serving.edge.operation import Answer, Asked, Exchange
from luna_serving.edge.store_answers import store_answer
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError
from luna_store.people.roles import Role

LIST: Final = "indicators/custom"
BY_NAME: Final[Cursors[str]] = Cursors(
    "indicators", Annotated[str, Field(max_length=63, pattern="^[-_a-z0-9]*$", strict=True)]
)
_PARAMETERS: Final[list[dict[str, Any]]] = [
    {
        "name": "limit",
        "in": "query",
        "required": False,
        "description": "Items per page, at most.",
        "schema": {"type": "integer", "minimum": 1, "maximum": LONGEST_PAGE, "default": PAGE},
    },
    {
        "name": "cursor",
        "in": "query",
        "required": False,
        "description": "`next_cursor` of the page before.",
        "schema": {"type": "string", "maxLength": MAX_CURSOR},
    },
]


@dataclass(frozen=True, slots=True)
class Listing:
    """Serves the list."""

    custom: CustomIndicators

    def operation(self) -> Exchange:
        """The route."""
        described = describe("The account's custom indicators", "By name. Costs nothing.", None, CustomPage)
        responses = {"200": described["responses"]["200"], **problem_responses((401, 403, 404, 408, 422, 429, 503))}
        return Exchange(
            "GET",
            LIST,
            self.serve,
            frozenset({"limit", "cursor"}),
            {**described, "parameters": _PARAMETERS, "responses": responses},
            capability=CAPABILITY,
            least=Role.VIEWER,
        )

    async def serve(self, asked: Asked) -> Answer:
        """Answer a call."""
        limit = _limit(asked.parameters.one("limit", str(PAGE)))
        given = asked.parameters.one("cursor") if "cursor" in asked.parameters.query else None
        begin = BY_NAME.read(given) or ""
        question = self.custom.page(asked.account_id, limit=limit + 1, after=begin)
        found = await store_answer(question, "The store of indicators")
        last = found[limit - 1].name if len(found) > limit else None
        page = CustomPage(
            indicators=[shown(each) for each in found[:limit]],
            next_cursor=None if last is None else BY_NAME.write(last),
        )
        return Answer(page.model_dump_json().encode(), headers=[(b"content-type", b"application/json")])


def _limit(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= LONGEST_PAGE:
        return int(text)
    raise problems.invalid(FieldError("/query/limit", f"Must be a whole number from 1 to {LONGEST_PAGE}."))

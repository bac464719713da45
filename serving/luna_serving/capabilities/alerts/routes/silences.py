"""`/alerts/silences`: as Alertmanager has them (API v2)."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from luna_serving.access.authorization import Authorization
from luna_serving.capabilities.alerts.delivery.payload import rfc3339
from luna_serving.capabilities.alerts.delivery.silencing import matchers_of
from luna_serving.capabilities.alerts.routes.instants import instant_of
from luna_serving.capabilities.alerts.routes.rules import id_of
from luna_serving.capabilities.alerts.store.records import to_ms
from luna_serving.capabilities.alerts.store.silences import Silence, SilenceNotFound, Silences, SilencesFull
from luna_serving.edge.account_scope import AccountRoutes, Owner, json_body
from luna_serving.edge.cursors import PAGE, Cursor, Cursors, Limit
from luna_serving.edge.openapi import json_request, refusals
from luna_serving.edge.store_answers import Meanings, store_answer
from luna_serving.wire import problems
from luna_serving.wire.documents import read_object
from luna_serving.wire.forms import read_form
from luna_serving.wire.problems import FieldError
from luna_serving.wire.strict import StrictModel

LIST: Final = "/alerts/silences"
ONE: Final = LIST + "/{silence_id}"
STORE: Final = "The store of silences"
JSON: Final = "application/json"
MAX_BYTES: Final = 64 * 1024
MEANINGS: Final[Meanings] = {
    SilenceNotFound: lambda e: problems.not_found(str(e)),
    SilencesFull: lambda e: problems.limit_reached(str(e)),
}
PAGES: Final[Cursors[tuple[datetime, uuid.UUID]]] = Cursors("silences", tuple[AwareDatetime, uuid.UUID])
Time = Annotated[AwareDatetime, BeforeValidator(instant_of)]


EXAMPLE: Final[dict[str, Any]] = {
    "matchers": [{"name": "host", "value": "db-1|db-2", "isRegex": True, "isEqual": True}],
    "startsAt": "2026-11-29T12:00:00Z",
    "endsAt": "2026-11-29T14:00:00Z",
    "createdBy": "ada",
    "comment": "maintenance",
}


class MatcherBody(StrictModel):
    """A condition on a label."""

    name: str = Field(min_length=1, max_length=255)
    value: str = Field(max_length=4_096)
    isRegex: bool = Field(False, description="Whether `value` is a regular expression for the whole value.")  # noqa: N815
    isEqual: bool = Field(True, description="False: labels that do not match.")  # noqa: N815


def _matching(matchers: list[MatcherBody]) -> list[MatcherBody]:
    for each in matchers:
        if each.isRegex:
            try:
                matchers_of([each.model_dump()])[0].matches("")
            except ValueError as e:
                raise ValueError(f"{each.value!r} is not a regular expression: {e}.") from e
    if all(matcher.matches("") for matcher in matchers_of([each.model_dump() for each in matchers])):
        raise ValueError("At least one matcher must not match the empty value: the silence would hold everything back.")
    return matchers


class SilenceBody(StrictModel):
    """A silence, as Alertmanager has it."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    id: str | None = Field(None, description="Of the silence that is changed; without it one is made.")
    matchers: Annotated[list[MatcherBody], Field(min_length=1, max_length=32), AfterValidator(_matching)]
    startsAt: Time  # noqa: N815
    endsAt: Time  # noqa: N815
    createdBy: str = Field(max_length=255)  # noqa: N815
    comment: str = Field(max_length=4_096)


class SilenceMade(BaseModel):
    """The id of a silence."""

    silenceID: str  # noqa: N815


class SilenceStatus(BaseModel):
    """Where a silence is in its time."""

    state: str = Field(description="`pending`, `active` or `expired`.")


class SilenceAnswer(BaseModel):
    """A silence."""

    id: str
    status: SilenceStatus
    matchers: list[dict[str, Any]]
    startsAt: str  # noqa: N815
    endsAt: str  # noqa: N815
    updatedAt: str  # noqa: N815
    createdBy: str  # noqa: N815
    comment: str


class SilencePage(BaseModel):
    """Silences, those that end last first."""

    items: list[SilenceAnswer]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class SilenceRoutes:
    """The routes, with what they need."""

    authorization: Authorization
    silences: Silences
    timeout_s: float

    def router(self) -> APIRouter:
        """Build the router."""
        routes = AccountRoutes(self.authorization, LIST[1:], tags=["alerts"], responses=refusals(401, 403, 422, 503))
        Own = Annotated[Owner, Depends(routes.own)]  # noqa: N806  a type

        @routes.post(
            LIST,
            summary="Make or change a silence",
            description="Alerts whose labels pass all matchers are not sent to webhooks and Alertmanagers meanwhile.",
            response_model=SilenceMade,
            responses=refusals(404, 408, 409, 413, 415),
            openapi_extra=json_request(SilenceBody),
        )
        async def put(request: Request, own: Own) -> Response:
            body = await json_body(request, limit=MAX_BYTES, seconds=self.timeout_s)
            form = read_form(SilenceBody, read_object(body, "", 0))
            if form.startsAt >= form.endsAt:
                raise problems.invalid(FieldError("/endsAt", "Must be later than startsAt."))
            silence_id = id_of(form.id, "/id") if form.id else None
            values = {
                "matchers": [each.model_dump() for each in form.matchers],
                "starts_at": form.startsAt,
                "ends_at": form.endsAt,
                "created_by": form.createdBy,
                "comment": form.comment,
            }
            made = await store_answer(self.silences.put(own.account_id, silence_id, values, own.actor), STORE, MEANINGS)
            return _json({"silenceID": str(made.id)})

        @routes.get(LIST, summary="The account's silences", response_model=SilencePage)
        async def list_silences(own: Own, limit: Limit = PAGE, cursor: Cursor = None) -> Response:
            question = self.silences.page(own.account_id, limit=limit + 1, after=PAGES.read(cursor))
            found = await store_answer(question, STORE)
            last = found[limit - 1] if len(found) > limit else None
            more = PAGES.write((last.ends_at, last.id)) if last is not None else None
            return _json({"items": [shown(each) for each in found[:limit]], "next_cursor": more})

        @routes.get(ONE, summary="A silence", response_model=SilenceAnswer, responses=refusals(404))
        async def get_silence(own: Own, silence_id: str) -> Response:
            question = self.silences.get(own.account_id, id_of(silence_id, "/path/silence_id"))
            return _json(shown(await store_answer(question, STORE, MEANINGS)))

        @routes.delete(
            ONE,
            summary="End a silence",
            description="One that has not begun is deleted.",
            status_code=204,
            responses=refusals(404),
        )
        async def end(own: Own, silence_id: str) -> Response:
            ending = self.silences.end(own.account_id, id_of(silence_id, "/path/silence_id"), own.actor)
            await store_answer(ending, STORE, MEANINGS)
            return Response(status_code=204)

        return routes


def shown(silence: Silence) -> dict[str, Any]:
    """A silence as Alertmanager shows it."""
    now = datetime.now(silence.ends_at.tzinfo)
    state = "expired" if silence.ends_at <= now else ("active" if silence.starts_at <= now else "pending")
    return {
        "id": str(silence.id),
        "status": {"state": state},
        "matchers": list(silence.matchers),
        "startsAt": rfc3339(to_ms(silence.starts_at)),
        "endsAt": rfc3339(to_ms(silence.ends_at)),
        "updatedAt": rfc3339(to_ms(silence.updated_at)),
        "createdBy": silence.created_by,
        "comment": silence.comment,
    }


def _json(value: dict[str, Any]) -> Response:
    return Response(orjson.dumps(value), media_type=JSON)

"""`POST /alerts/rules/simulate`: what a rule would have done. Costs one unit, as a query does."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from luna_serving.access.authorization import Authorization
from luna_serving.access.charges import Charges
from luna_serving.access.denials import Charge
from luna_serving.capabilities.alerts.models.asking import Asks, presence_query
from luna_serving.capabilities.alerts.models.scoring import Scoring
from luna_serving.capabilities.alerts.routes.instants import instant_of
from luna_serving.capabilities.alerts.rules.documents import check_rule
from luna_serving.capabilities.alerts.rules.rule import Rule
from luna_serving.capabilities.alerts.simulation.replay import Replayed, replay, vectors_of
from luna_serving.capabilities.alerts.store.records import to_ms
from luna_serving.edge.account_scope import AccountRoutes, Owner, json_body, needs
from luna_serving.edge.openapi import json_request, refusals
from luna_serving.samples.answers import QueryRefused
from luna_serving.samples.client import READING
from luna_serving.shards.client import ShardUnavailable
from luna_serving.webhooks.addresses import Allowed
from luna_serving.wire import problems
from luna_serving.wire.documents import read_object
from luna_serving.wire.problems import FieldError, Problem
from luna_serving.wire.strict import StrictModel
from luna_store.people.roles import Role

PATH: Final = "/alerts/rules/simulate"
JSON: Final = "application/json"
MAX_BYTES: Final = 256 * 1024


EXAMPLE: Final[dict[str, Any]] = {
    "rule": {"expr": "cpu > 0.9", "for": "1m", "interval": "15s"},
    "start": "2026-11-29T11:00:00Z",
    "end": "2026-11-29T12:00:00Z",
}


class Simulate(StrictModel):
    """A rule, and a range. The rule's members may also be beside `start` and `end`."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    rule: dict[str, Any] = Field(description="As for `POST /alerts/rules`; `name` may be missing.")
    start: str | float = Field(description="RFC 3339, or milliseconds since 1970.")
    end: str | float = Field(description="RFC 3339, or milliseconds since 1970.")


class SimulatedFiring(BaseModel):
    """An alert that would have fired. Instants are milliseconds since 1970."""

    labels: dict[str, str]
    active_at: int
    fired_at: int
    resolved_at: int | None = Field(description="Null: it would fire at the end.")


class SimulatedRule(BaseModel):
    """What a rule would have done."""

    firings: list[SimulatedFiring]
    evaluations: int
    flaps: int = Field(description="Firings of an alert that had fired before in the range.")


@dataclass(frozen=True, slots=True)
class SimulateRoutes:
    """The route, with what it needs."""

    authorization: Authorization
    charges: Charges
    asks: Asks
    scoring: Scoring
    allowed: Allowed
    most_evaluations: int
    most_alerts: int
    timeout_s: float

    def router(self) -> APIRouter:
        """Build the router."""
        routes = AccountRoutes(self.authorization, PATH[1:], tags=["alerts"], responses=refusals(401, 403, 422, 503))
        Own = Annotated[Owner, Depends(routes.own)]  # noqa: N806  a type

        @routes.post(
            PATH,
            summary="Replay a rule over stored samples",
            description="How often and how long it would have fired. Costs one unit, and needs the grant `query` of "
            "metrics. A model learns only from samples before `start`.",
            response_model=SimulatedRule,
            responses=refusals(408, 413, 415, 429),
            openapi_extra=json_request(Simulate) | needs(Role.MEMBER, grant=READING),
        )
        async def simulate(request: Request, own: Own) -> Response:
            body = await json_body(request, limit=MAX_BYTES, seconds=self.timeout_s)
            rule, start, end = self._read(body)
            times = range(to_ms(start), to_ms(end) + 1, rule.interval_ms)
            if len(times) > self.most_evaluations:
                wrong = f"Makes {len(times)} evaluations of at most {self.most_evaluations}: take a shorter range or a "
                raise problems.invalid(FieldError("/end", wrong + "longer `interval`."))
            async with self._charged(own):
                found = await self._replayed(own.account_id, rule, times)
            return Response(orjson.dumps(_shown(found)), media_type=JSON)

        return routes

    @asynccontextmanager
    async def _charged(self, own: Owner) -> AsyncIterator[None]:
        """Charge a unit; give it back if there is no answer."""
        nothing = Charge.nothing(own.credential, own.account_id, PATH[1:], READING)
        charge = replace(nothing, debit=replace(nothing.debit, units=1, debit_id=uuid.uuid4()))
        try:
            await self.charges.take(charge)
        except asyncio.CancelledError:
            # Whether a store took the unit is not known.
            self.charges.void_later(charge.debit)
            raise
        try:
            yield
        except ShardUnavailable as e:
            self.charges.refund_later(charge.debit)
            raise problems.dependencies_gone("The store of samples") from e
        except BaseException:
            self.charges.refund_later(charge.debit)
            raise
        self.charges.served(charge.debit)

    def _read(self, body: bytes) -> tuple[Rule, datetime, datetime]:
        members = read_object(body, "", 0)
        start, end = _instant(members.pop("start", None), "start"), _instant(members.pop("end", None), "end")
        if start > end:
            raise problems.invalid(FieldError("/end", "Must not be earlier than start."))
        inner = members.pop("rule", None)
        if inner is not None and (members or not isinstance(inner, dict)):
            raise problems.invalid(FieldError("/rule", "Give the rule's members in `rule`, or beside `start`."))
        written = members if inner is None else inner
        # A rule that is only tried out needs no name.
        try:
            return check_rule({"name": "simulated", **written}, self.allowed).rule, start, end
        except Problem as e:
            raise (_below(e, "/rule") if inner is not None else e) from e

    async def _replayed(self, account_id: int, rule: Rule, times: Sequence[int]) -> Replayed:
        if rule.kind == "anomaly":
            answer = await self.scoring.replay(account_id, rule, times)
            if isinstance(answer, QueryRefused):
                raise problems.invalid(FieldError("/rule/metric", answer.detail))
            return await asyncio.to_thread(replay, rule, times, *answer, self.most_alerts)
        first, last = times[0] - rule.query_offset_ms, times[-1] - rule.query_offset_ms
        matrix = await self._range(account_id, rule.query, first, last, rule.interval_ms)
        offset = rule.query_offset_ms
        vectors = {at_ms + offset: vector for at_ms, vector in vectors_of(matrix).items()}
        has_data: frozenset[int] | None = None
        presence = presence_query(rule.query, first)
        if presence is not None and rule.no_data != "resolve" and len(vectors) < len(times):
            present = await self._range(account_id, presence, first, last, rule.interval_ms)
            has_data = frozenset(at + offset for series in present.series for at in series.timestamps.tolist())
        return await asyncio.to_thread(replay, rule, times, vectors, has_data, self.most_alerts)

    async def _range(self, account_id: int, text: str, start_ms: int, end_ms: int, step_ms: int) -> Any:  # noqa: ANN401
        answer = await self.asks.range(account_id, text, start_ms, end_ms, step_ms)
        if isinstance(answer, QueryRefused):
            raise problems.invalid(FieldError("/rule/expr", answer.detail))
        return answer


def _instant(written: object, name: str) -> datetime:
    try:
        found = instant_of(written)
    except ValueError as e:
        raise problems.invalid(FieldError(f"/{name}", str(e))) from e
    if found is None:
        raise problems.invalid(FieldError(f"/{name}", "Field required."))
    return found


def _below(problem: Problem, pointer: str) -> Problem:
    """The same problem, for a rule that is a member of the body."""
    errors = [{**each, "pointer": pointer + each["pointer"]} for each in problem.extra.get("errors", ())]
    extra = {**problem.extra, "errors": errors}
    detail = pointer + problem.detail if problem.detail.startswith("/") else problem.detail
    return Problem(problem.slug, problem.status, problem.title, detail, problem.headers, extra)


def _shown(found: Replayed) -> dict[str, Any]:
    return {
        "firings": [
            {
                "labels": dict(each.labels),
                "active_at": each.active_at_ms,
                "fired_at": each.fired_at_ms,
                "resolved_at": each.resolved_at_ms,
            }
            for each in found.firings
        ],
        "evaluations": found.evaluations,
        "flaps": found.flaps,
    }

"""`/alerts/rules`: an account's rules."""

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Header, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from luna_serving.access.authorization import Authorization
from luna_serving.capabilities.alerts.evaluation.evaluator import Announce
from luna_serving.capabilities.alerts.evaluation.outcomes import Telling, all_ended, outcome_of
from luna_serving.capabilities.alerts.evaluation.timing import next_after
from luna_serving.capabilities.alerts.routes.schemas import CreatedRule, RuleAnswer, RulePage
from luna_serving.capabilities.alerts.rules.documents import TAGS, Checked, read_rule
from luna_serving.capabilities.alerts.rules.rule import kind_of, query_of, rule_of
from luna_serving.capabilities.alerts.rules.schemas import RuleDocument
from luna_serving.capabilities.alerts.store.records import AlertRecord, maybe_ms, to_instant, to_ms
from luna_serving.capabilities.alerts.store.rules import (
    RuleChanged,
    RuleLimitReached,
    RuleNotFound,
    Rules,
    StoredRule,
)
from luna_serving.capabilities.alerts.store.writing import Outcome
from luna_serving.edge.account_scope import AccountRoutes, Owner, json_body, needs
from luna_serving.edge.bodies import header_map
from luna_serving.edge.cursors import PAGE, Cursor, Cursors, Limit
from luna_serving.edge.idempotency import KeyHeader, kept_answer, once, still_under_way
from luna_serving.edge.openapi import json_request, refusals
from luna_serving.edge.operation import Answer
from luna_serving.edge.paths import PREFIX
from luna_serving.edge.store_answers import Meanings, store_answer
from luna_serving.samples.client import READING
from luna_serving.webhooks.addresses import Allowed, without_secrets
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError
from luna_store.accounts.accounts import AccountNotFound
from luna_store.jobs.webhook_secrets import new_secret
from luna_store.limits import in_force
from luna_store.people.roles import Role
from luna_store.platform.idempotency import Claim, ClaimLost, IdempotencyKeys

LIMIT: Final = "alerts.rules"
LIST: Final = "/alerts/rules"
ONE: Final = LIST + "/{rule_id}"
STORE: Final = "The store of rules"
ROUTE: Final = "POST alerts/rules"
JSON: Final = "application/json"
MAX_BYTES: Final = 256 * 1024
ID: Final = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
IF_MATCH: Final = "Entity tags of which one must be the stored rule's; * wants any."
WRITES: Final = "People need the role admin; API keys may, too."
READS: Final = "The account needs the grant `query` of metrics."
MEANINGS: Final[Meanings] = {
    RuleNotFound: lambda e: problems.not_found(str(e)),
    AccountNotFound: lambda e: problems.not_found(str(e)),
    RuleChanged: lambda e: problems.precondition_failed(f"{e} Read it and decide again."),
    RuleLimitReached: lambda e: problems.limit_reached(str(e)),
}
PAGES: Final[Cursors[uuid.UUID]] = Cursors("rules", uuid.UUID)
IfMatch = Annotated[list[str] | None, Header(description=IF_MATCH)]


@dataclass(frozen=True, slots=True)
class RuleRoutes:
    """The routes, with what they need."""

    authorization: Authorization
    rules: Rules
    keys: IdempotencyKeys
    allowed: Allowed
    telling: Telling
    announce: Announce
    timeout_s: float

    def router(self) -> APIRouter:
        """Build the router."""
        routes = AccountRoutes(
            self.authorization, LIST[1:], tags=["alerts"], responses=refusals(401, 403, 404, 422, 503)
        )
        Own = Annotated[Owner, Depends(routes.own)]  # noqa: N806  a type
        writes = needs(Role.ADMIN, keys=True)
        # A rule shows what it finds: it is a way to read samples.
        reads = needs(Role.ADMIN, keys=True, grant=READING)

        @routes.post(
            LIST,
            summary="Create a rule",
            description="PromQL (`expr`), a metric with a threshold, or a metric that a model watches. "
            f"{WRITES} {READS}",
            status_code=201,
            response_model=CreatedRule,
            responses=refusals(408, 409, 413, 415),
            openapi_extra=json_request(RuleDocument) | reads,
        )
        async def create(request: Request, own: Own, idempotency_key: KeyHeader = None) -> Response:
            del idempotency_key  # read by `once`
            answer = await self._created(request, own)
            return Response(answer.body, answer.status, {n.decode(): v.decode() for n, v in answer.headers})

        @routes.get(LIST, summary="The account's rules", response_model=RulePage)
        async def list_rules(own: Own, limit: Limit = PAGE, cursor: Cursor = None) -> Response:
            question = self.rules.page(own.account_id, limit=limit + 1, after=PAGES.read(cursor))
            found = await store_answer(question, STORE)
            more = PAGES.write(found[limit - 1].id) if len(found) > limit else None
            return _json({"items": [shown(each, own.credential.role) for each in found[:limit]], "next_cursor": more})

        @routes.get(
            ONE,
            summary="A rule",
            response_model=RuleAnswer,
            responses={304: {"description": "If-None-Match names it."}},
        )
        async def get_rule(
            own: Own,
            rule_id: str,
            if_none_match: Annotated[list[str] | None, Header(description="Entity tags that are known.")] = None,
        ) -> Response:
            stored = await store_answer(self.rules.get(own.account_id, id_of(rule_id)), STORE, MEANINGS)
            if stored.revision in TAGS.named(",".join(if_none_match or ()), weak=True):
                return Response(status_code=304, headers={"ETag": TAGS.of(stored.revision)})
            return _json(shown(stored, own.credential.role), headers={"ETag": TAGS.of(stored.revision)})

        @routes.put(
            ONE,
            summary="Replace a rule",
            description=f"Alerts of a rule whose name or labels change end; others go on. {WRITES} {READS}",
            response_model=CreatedRule,
            responses=refusals(408, 412, 413, 415),
            openapi_extra=json_request(RuleDocument) | reads,
        )
        async def put_rule(request: Request, own: Own, rule_id: str, if_match: IfMatch = None) -> Response:
            body = await json_body(request, limit=MAX_BYTES, seconds=self.timeout_s)
            return await self._replaced(own, id_of(rule_id), read_rule(body, self.allowed), if_match)

        @routes.delete(
            ONE,
            summary="Delete a rule",
            description=f"Its alerts end, and stay in the history. {WRITES}",
            status_code=204,
            responses=refusals(412),
            openapi_extra=writes,
        )
        async def delete_rule(own: Own, rule_id: str, if_match: IfMatch = None) -> Response:
            expected = TAGS.conditions(if_match, None).revisions
            deleting = self.rules.delete(own.account_id, id_of(rule_id), self._ends, expected=expected, by=own.actor)
            committed = await store_answer(deleting, STORE, MEANINGS)
            await self.announce(own.account_id, committed)
            return Response(status_code=204)

        return routes

    async def _created(self, request: Request, own: Owner) -> Answer:
        body = await json_body(request, limit=MAX_BYTES, seconds=self.timeout_s)
        checked = read_rule(body, self.allowed)
        most = in_force(own.standing.limits)[LIMIT]

        async def create(claim: Claim | None) -> Answer:
            async def keep(connection: AsyncConnection, stored: StoredRule) -> None:
                if claim is not None:
                    # In the transaction that creates the rule: a call that is sent twice creates one.
                    await self.keys.keep(claim, kept_answer(_created_answer(own.account_id, stored)), connection)

            secret = new_secret() if checked.rule.webhook is not None else None
            creating = self.rules.create(
                own.account_id, checked.document, secret, first_of(checked), keep, most=most, by=own.actor
            )
            stored = await store_answer(creating, STORE, MEANINGS)
            return _created_answer(own.account_id, stored)

        try:
            return await once(self.keys, own.account_id, ROUTE, header_map(request.scope), body, create)
        except ClaimLost as e:
            raise still_under_way() from e

    async def _replaced(self, own: Owner, rule_id: uuid.UUID, checked: Checked, if_match: list[str] | None) -> Response:
        before = await store_answer(self.rules.get(own.account_id, rule_id), STORE, MEANINGS)
        identity = before.document["name"], _alert_labels(before.document)
        ends = self._ends if identity != (checked.document["name"], _alert_labels(checked.document)) else None
        made: list[str] = []

        def secret_of(stored: StoredRule) -> str | None:
            if checked.rule.webhook is None:
                return None
            if stored.webhook_secret is None:
                made.append(new_secret())
                return made[0]
            return stored.webhook_secret

        replacing = self.rules.replace(
            own.account_id,
            rule_id,
            checked.document,
            secret_of,
            first_of(checked),
            ends,
            expected=TAGS.conditions(if_match, None).revisions,
            by=own.actor,
        )
        stored, committed = await store_answer(replacing, STORE, MEANINGS)
        await self.announce(own.account_id, committed)
        secret = {"secret": made[0]} if made else {}
        return _json(shown(stored, own.credential.role) | secret, headers={"ETag": TAGS.of(stored.revision)})

    def _ends(self, alerts: Sequence[AlertRecord], now_ms: int, stored: StoredRule) -> Outcome:
        rule = rule_of(stored.id, 0, stored.revision, stored.document)
        ended = all_ended(alerts, now_ms)
        secret = stored.webhook_secret
        return outcome_of(rule, 0, secret, alerts, ended, now_ms, lambda _: False, self.telling, resolved_by="rule")


def first_of(checked: Checked) -> Callable[[uuid.UUID, int], datetime]:
    """When a rule is evaluated first."""
    return lambda rule_id, now_ms: to_instant(next_after(rule_id, checked.rule.interval_ms, now_ms))


def id_of(written: str, pointer: str = "/path/rule_id") -> uuid.UUID:
    """An id in a path.

    Raises:
        Problem: 422.
    """
    if not ID.fullmatch(written):
        raise problems.invalid(FieldError(pointer, "Must be a UUID, as lists have it."))
    return uuid.UUID(written)


def shown(stored: StoredRule, role: Role) -> dict[str, Any]:
    """A rule as answers to callers with a role have it: viewers see of a webhook where it goes alone."""
    document = dict(stored.document)
    if role < Role.MEMBER and "webhook" in document:
        document["webhook"] = without_secrets(document["webhook"])
    return {
        "id": str(stored.id),
        **document,
        "kind": kind_of(document),
        "query": query_of(document),
        "state": stored.state,
        "health": "unknown" if stored.last_at is None else ("err" if stored.error else "ok"),
        "last_error": stored.error,
        "warnings": list(stored.warnings),
        "last_evaluation": maybe_ms(stored.last_at),
        "next_evaluation": to_ms(stored.next_at),
        "evaluation_seconds": stored.seconds,
        "missed": stored.missed,
        "created_at": to_ms(stored.created_at),
        "changed_at": to_ms(stored.changed_at),
    }


def _created_answer(account_id: int, stored: StoredRule) -> Answer:
    secret = {"secret": stored.webhook_secret} if stored.webhook_secret is not None else {}
    location = f"{PREFIX}/{account_id}{ONE.format(rule_id=stored.id)}"
    headers = {"content-type": JSON, "location": location, "etag": TAGS.of(stored.revision)}
    return Answer(
        orjson.dumps(shown(stored, Role.ADMIN) | secret),
        201,
        [(name.encode(), text.encode()) for name, text in headers.items()],
    )


def _alert_labels(document: Mapping[str, Any]) -> tuple[Any, ...]:
    """What decides the labels of a rule's alerts, beside its series."""
    own = document.get("labels", {}) if kind_of(document) == "expr" else {}
    return own, document.get("severity")


def _json(value: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value), 200, headers, JSON)

"""One batch: rules of one account that are due, from the question to the shard to the commit."""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.capabilities.alerts.delivery.silencing import Matchers, matchers_of, silenced
from luna_serving.capabilities.alerts.evaluation.elements import EvaluationFailed, elements_of, no_data_element
from luna_serving.capabilities.alerts.evaluation.outcomes import Telling, outcome_of, states_of
from luna_serving.capabilities.alerts.evaluation.rule_cache import Loaded
from luna_serving.capabilities.alerts.evaluation.timing import last_until, missed_between
from luna_serving.capabilities.alerts.models.asking import Asks, found_any, is_empty, presence_query, warnings_of
from luna_serving.capabilities.alerts.models.scoring import Scoring
from luna_serving.capabilities.alerts.states.advance import Advanced, Element, advance
from luna_serving.capabilities.alerts.store.due import Due, active
from luna_serving.capabilities.alerts.store.models import ModelRow
from luna_serving.capabilities.alerts.store.outbox import drop_excess
from luna_serving.capabilities.alerts.store.records import AlertRecord, to_instant
from luna_serving.capabilities.alerts.store.silences import active_silences
from luna_serving.capabilities.alerts.store.writing import Committed, Outcome, Turn, write
from luna_serving.samples.answers import QueryRefused
from luna_serving.samples.requests import InstantQuery
from luna_serving.shards.client import ShardUnavailable
from luna_store.platform.leases import Lease, fenced
from luna_store.platform.uuid7 import uuid7

ERROR_LENGTH: Final = 500
NOT_GRANTED: Final = "The account may not read metrics: it has not been granted query of metrics."


@dataclass(frozen=True, slots=True)
class Item:
    """A rule that is due, with what was loaded of it."""

    due: Due
    loaded: Loaded
    at_ms: int
    """The time of the evaluation."""


@dataclass(frozen=True, slots=True)
class Found:
    """What an evaluation found: elements, or why there are none."""

    elements: Mapping[bytes, Element] | None = None
    """None: nothing that alerts could advance by; they stay."""
    error: str | None = None
    warnings: Sequence[str] = ()
    has_data: bool = True
    models: Sequence[ModelRow] = ()
    """What an anomaly rule has learnt and seen."""


@dataclass(frozen=True, slots=True)
class Done:
    """A batch that is written."""

    committed: Committed
    outcomes: Sequence[Outcome]
    seconds: float
    """That the shard took."""
    unsent: int = 0
    """Messages to webhooks that were dropped, for too many of their rules wait."""


def items_of(due: Sequence[Due], loaded: Mapping[uuid.UUID, Loaded]) -> list[Item]:
    """The rules of a batch at their latest instants: earlier ones that were missed are not made up for."""
    return [
        Item(each, found, max(each.next_at_ms, last_until(each.rule_id, found.rule.interval_ms, each.now_ms)))
        for each in due
        if (found := loaded.get(each.rule_id)) is not None
    ]


class Batches:
    """Evaluates batches. Does not own the engine."""

    def __init__(
        self,
        engine: AsyncEngine,
        asks: Asks,
        scoring: Scoring,
        telling: Telling,
        *,
        most_alerts: int,
        most_waiting: int,
        new_id: Callable[[], uuid.UUID] = uuid7,
    ) -> None:
        """Wire it.

        Args:
            engine: of the worker.
            asks: the samples.
            scoring: evaluates anomaly rules.
            telling: how receivers hear of alerts.
            most_alerts: of one rule.
            most_waiting: messages to its webhook.
            new_id: makes identifiers of alerts.
        """
        self._engine = engine
        self._asks = asks
        self._scoring = scoring
        self._telling = telling
        self._most_alerts = most_alerts
        self._most_waiting = most_waiting
        self._new_id = new_id

    async def evaluate(self, account_id: int, items: Sequence[Item], lease: Lease) -> Done:
        """Evaluate rules of one account and write the outcome.

        Raises:
            LeaseLost: nothing was written.
            SQLAlchemyError: Postgres did not answer; nothing was written, or all.
        """
        before = await active(self._engine, [each.due.rule_id for each in items])
        began = time.perf_counter()
        found = await self._found(account_id, items, before)
        seconds = time.perf_counter() - began
        silences = await self._silences(account_id, items, found, before)
        outcomes = [
            self._outcome(item, what, before.get(item.due.rule_id, ()), silences, seconds)
            for item, what in zip(items, found, strict=True)
        ]
        async with fenced(self._engine, lease) as connection:
            committed = await write(connection, account_id, outcomes)
            telling = [each.rule_id for each in outcomes if each.messages]
            unsent = await drop_excess(connection, telling, self._most_waiting) if telling else 0
        return Done(committed, outcomes, seconds, unsent)

    async def _found(
        self, account_id: int, items: Sequence[Item], before: Mapping[uuid.UUID, Sequence[AlertRecord]]
    ) -> list[Found]:
        # A batch is of one account.
        if not items[0].due.may_read:
            return [Found(error=NOT_GRANTED) for _ in items]
        try:
            models = [each for each in items if each.loaded.rule.kind == "anomaly"]
            judged = await self._scoring.judge(account_id, [(each.loaded.rule, each.at_ms) for each in models])
            queried = [each for each in items if each.loaded.rule.kind != "anomaly"]
            queries = [
                InstantQuery(each.loaded.rule.query, each.at_ms - each.loaded.rule.query_offset_ms) for each in queried
            ]
            results = await self._asks.instant(account_id, queries) if queries else ()
            by_rule: dict[uuid.UUID, Any] = {
                each.due.rule_id: result for each, result in zip(queried, results, strict=True)
            }
            by_rule |= {each.due.rule_id: of.result for each, of in zip(models, judged, strict=True)}
            learnt = {each.due.rule_id: of.rows for each, of in zip(models, judged, strict=True)}
            empty = await self._without_data(account_id, items, by_rule, before)
        except ShardUnavailable as e:
            return [Found(error=str(e)) for _ in items]
        return [
            replace(
                self._element(each, by_rule[each.due.rule_id], each.due.rule_id in empty),
                models=learnt.get(each.due.rule_id, ()),
            )
            for each in items
        ]

    async def _without_data(
        self,
        account_id: int,
        items: Sequence[Item],
        results: Mapping[uuid.UUID, Any],
        before: Mapping[uuid.UUID, Sequence[AlertRecord]],
    ) -> frozenset[uuid.UUID]:
        """The rules whose result is empty because none of their selectors finds a sample.

        Asked only where it matters: for a rule without alerts that keeps them, it does not.
        """
        doubtful = [
            each
            for each in items
            if is_empty(results[each.due.rule_id])
            and (each.loaded.rule.no_data == "alert" or before.get(each.due.rule_id))
        ]
        asked: list[tuple[uuid.UUID, InstantQuery]] = []
        for each in doubtful:
            at_ms = each.at_ms - each.loaded.rule.query_offset_ms
            text = presence_query(each.loaded.rule.query, at_ms)
            if text is not None:
                asked.append((each.due.rule_id, InstantQuery(text, at_ms)))
        if not asked:
            return frozenset()
        answers = await self._asks.instant(account_id, [query for _, query in asked])
        return frozenset(rule_id for (rule_id, _), answer in zip(asked, answers, strict=True) if not found_any(answer))

    def _element(self, item: Item, result: Any, nothing: bool) -> Found:  # noqa: ANN401
        rule = item.loaded.rule
        if isinstance(result, QueryRefused):
            return Found(error=result.detail[:ERROR_LENGTH])
        warnings = tuple(warnings_of(result))
        if nothing:
            match rule.no_data:
                case "keep":
                    return Found(None, None, warnings, has_data=False)
                case "alert":
                    key, element = no_data_element(rule, self._telling.external_url)
                    return Found({key: element}, None, warnings, has_data=False)
                case _:
                    return Found({}, None, warnings, has_data=False)
        try:
            return Found(elements_of(rule, result, self._most_alerts, self._telling.external_url), None, warnings)
        except EvaluationFailed as e:
            return Found(error=str(e)[:ERROR_LENGTH], warnings=warnings)

    async def _silences(
        self,
        account_id: int,
        items: Sequence[Item],
        found: Sequence[Found],
        before: Mapping[uuid.UUID, Sequence[AlertRecord]],
    ) -> list[Matchers]:
        """The account's silences in force, if there is an alert that one could hold back."""
        if not any(each.elements for each in found) and not before:
            return []
        at = to_instant(max(each.at_ms for each in items)).isoformat()
        written = await active_silences(self._engine, [account_id], at)
        return [matchers_of(each) for each in written.get(account_id, ())]

    def _outcome(
        self, item: Item, found: Found, before: Sequence[AlertRecord], silences: Sequence[Matchers], seconds: float
    ) -> Outcome:
        rule, due = item.loaded.rule, item.due
        states = states_of(before)
        advanced = Advanced(states, ())
        if found.elements is not None:
            elements: Mapping[bytes, Element] = found.elements
            if rule.no_data == "alert" and not found.has_data:
                # Alerts whose series went silent stay, beside the one that says so.
                silent = {key: Element(each.labels, each.annotations, each.value) for key, each in states.items()}
                elements = {**silent, **found.elements}
            advanced = advance(rule.holds, states, elements, item.at_ms, self._new_id)
        outcome = outcome_of(
            rule,
            due.generation,
            item.loaded.secret,
            before,
            advanced,
            item.at_ms,
            lambda labels: silenced(labels, silences),
            self._telling,
        )
        turn = Turn(
            next_at_ms=item.at_ms + rule.interval_ms,
            last_at_ms=item.at_ms,
            seconds=seconds,
            error=found.error,
            warnings=found.warnings,
            data_at_ms=item.at_ms if found.error is None and found.has_data else None,
            missed=missed_between(due.next_at_ms, item.at_ms, rule.interval_ms),
        )
        return replace(outcome, turn=turn, models=found.models)

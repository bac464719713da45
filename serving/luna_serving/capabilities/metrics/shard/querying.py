"""Answers PromQL: loads what a query reads, then evaluates it in a thread."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, Final

from luna_serving.capabilities.metrics.metrics import ShardMetrics
from luna_serving.capabilities.metrics.shard.account import AccountState
from luna_serving.capabilities.metrics.shard.budget import Hold, SampleBudget, TooBusyError
from luna_serving.capabilities.metrics.shard.selecting import Selector, TooManySamplesError
from luna_serving.engines.promql.api import (
    EvaluationError,
    Extension,
    LimitExceeded,
    Limits,
    Matcher,
    PromqlError,
    Query,
    Selection,
    Series,
    evaluate_instant,
    evaluate_range,
    parse,
)
from luna_serving.samples.answers import QueryRefused, Refusal
from luna_serving.samples.requests import Instant, InstantQuery, Range

# Samples that the queries of one request leave for the next ones, 16 bytes each: there may be hundreds of queries.
KEPT_SAMPLES: Final = 5_000_000
NO_EXTENSIONS: Final[Mapping[str, Extension]] = {}


class DeadlineError(Exception):
    """The time of a query is over."""


class Loaded:
    """Implements `engines.promql.Source` over selections that were loaded."""

    def __init__(self) -> None:
        self._series: dict[Selection, Sequence[Series]] = {}
        self.samples = 0

    def __contains__(self, selection: Selection) -> bool:
        return selection in self._series

    def add(self, selection: Selection, series: Sequence[Series]) -> None:
        """Keep the series of a selection."""
        self._series[selection] = series
        self.samples += sum(len(each.timestamps) for each in series)

    def select(self, matchers: tuple[Matcher, ...], first_ms: int, last_ms: int) -> Sequence[Series]:
        """The series that were loaded for a selection."""
        return self._series[Selection(matchers, first_ms, last_ms)]


class Querier:
    """Evaluates queries of accounts."""

    def __init__(
        self,
        selector: Selector,
        pool: ThreadPoolExecutor,
        budget: SampleBudget,
        metrics: ShardMetrics,
        extensions: Mapping[str, Extension] = NO_EXTENSIONS,
    ) -> None:
        """Wire it.

        Args:
            selector: reads samples.
            pool: evaluates.
            budget: bounds what all queries hold.
            metrics: counts.
            extensions: more functions, by name.
        """
        self._selector = selector
        self._pool = pool
        self._budget = budget
        self._metrics = metrics
        self._extensions = extensions
        # A query alone is never refused for others.
        self._kept_samples = min(KEPT_SAMPLES, budget.most // 4)
        self._most_samples = budget.most - self._kept_samples

    async def instant(self, state: AccountState, request: Instant) -> list[Any]:
        """For each query its result, or why there is none. Queries that read the same samples load them once."""
        deadline = time.monotonic() + request.timeout_s
        limits = self._limits(request.most_samples, deadline)
        loaded: dict[int, Loaded] = {}
        answers = []
        with self._budget.hold() as held:
            for each in request.queries:
                kept = sum(of.samples for of in loaded.values())
                if kept > self._kept_samples:
                    loaded.clear()
                    kept = 0
                # What a query that failed had begun to load is gone.
                held.reduce_to(kept)
                source = loaded.setdefault(each.at_ms, Loaded())
                answers.append(await self._instant(state, each, source, limits, deadline, held))
        return answers

    async def range(self, state: AccountState, request: Range) -> Any:  # noqa: ANN401  a Matrix, or QueryRefused
        """The result at steps, or why there is none."""
        deadline = time.monotonic() + request.timeout_s
        limits = self._limits(request.most_samples, deadline)
        bounds = (request.start_ms, request.end_ms, request.step_ms)

        async def answer() -> Any:  # noqa: ANN401
            query, source, lookback_ms = self._parsed(request.text), Loaded(), request.lookback_ms
            limits.check()
            await self._load(state, query.selections(*bounds, lookback_ms), source, limits, held)
            evaluate = partial(evaluate_range, query, source, *bounds, lookback_ms=lookback_ms)
            return await self._run(evaluate, limits, held)

        with self._budget.hold() as held:
            return await self._answered("range", answer, deadline)

    async def _instant(
        self, state: AccountState, asked: InstantQuery, source: Loaded, limits: Limits, deadline: float, held: Hold
    ) -> Any:  # noqa: ANN401
        async def answer() -> Any:  # noqa: ANN401
            query, at_ms, lookback_ms = self._parsed(asked.text), asked.at_ms, asked.lookback_ms
            limits.check()
            await self._load(state, query.selections(at_ms, at_ms, 1, lookback_ms), source, limits, held)
            evaluate = partial(evaluate_instant, query, source, at_ms, lookback_ms=lookback_ms)
            return await self._run(evaluate, limits, held)

        return await self._answered("instant", answer, deadline)

    def _limits(self, samples: int, deadline: float) -> Limits:
        def check() -> None:
            if time.monotonic() > deadline:
                raise DeadlineError

        return Limits(samples=min(samples, self._most_samples), check=check)

    def _parsed(self, text: str) -> Query:
        return parse(text, self._extensions)

    async def _load(
        self, state: AccountState, selections: Sequence[Selection], source: Loaded, limits: Limits, held: Hold
    ) -> None:
        left = limits.samples
        for selection in selections:
            if selection in source:
                continue
            series = await loaded(
                self._selector, state, selection.matchers, selection.first_ms, selection.last_ms, left, held
            )
            source.add(selection, series)
            left -= sum(len(each.timestamps) for each in series)
            limits.check()

    async def _run(self, evaluate: Callable[..., Any], limits: Limits, held: Hold) -> Any:  # noqa: ANN401
        """Evaluate in a thread; what it holds is given back when the thread has ended, though nobody waits for it."""
        with self._budget.hold() as intermediate:
            bounded = replace(limits, hold=intermediate.grow_to)
            work = self._pool.submit(evaluate, limits=bounded)
            held.keep_for(work)
            intermediate.keep_for(work)
            return await asyncio.wrap_future(work)

    async def _answered(self, kind: str, answer: Callable[[], Any], deadline: float) -> Any:  # noqa: ANN401
        began = time.monotonic()
        try:
            async with asyncio.timeout(deadline - began):
                return await answer()
        except (PromqlError, TooManySamplesError, TooBusyError, DeadlineError, TimeoutError) as e:
            return refused(e)
        finally:
            self._metrics.queried(kind, time.monotonic() - began)


async def loaded(
    selector: Selector,
    state: AccountState,
    matchers: tuple[Matcher, ...],
    first_ms: int,
    last_ms: int,
    most_samples: int,
    held: Hold,
) -> list[Series]:
    """The series that pass all conditions and have samples in a period, with these samples.

    Raises:
        TooManySamplesError: there are more than `most_samples`.
        TooBusyError: other queries hold too many.
    """
    ids = state.latest.between(state.index.select(matchers), first_ms, last_ms)
    labels = [state.index.labels(each) for each in ids.tolist()]
    columns = await selector.columns(state, ids, first_ms, last_ms, most_samples, held)
    return [Series(of, *each) for of, each in zip(labels, columns, strict=True) if len(each[0])]


def refused(why: Exception) -> QueryRefused:
    """Why a query has no answer, as a value."""
    match why:
        case TooManySamplesError():
            detail = f"{why} Select fewer series or a shorter period, or ask for a higher limit metrics.query_samples."
            return QueryRefused(Refusal.LIMIT, detail)
        case TooBusyError():
            return QueryRefused(Refusal.BUSY, str(why))
        case LimitExceeded():
            return QueryRefused(Refusal.LIMIT, str(why), _offset(why))
        case EvaluationError():
            return QueryRefused(Refusal.EVALUATION, str(why), _offset(why))
        case PromqlError():
            return QueryRefused(Refusal.PARSE, str(why), _offset(why))
        case _:
            return QueryRefused(Refusal.TIMEOUT, "The query took too long. Select fewer series or a shorter period.")


def _offset(why: PromqlError) -> int | None:
    return None if why.position is None else why.position.offset

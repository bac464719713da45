"""Answers statistics, and buckets of 1 and 5 minutes, hours and days."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any, Final

import numpy as np
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.capabilities.metrics.metrics import ShardMetrics
from luna_serving.capabilities.metrics.requests import Aggregate, Aggregated, Buckets, Statistics, Summary
from luna_serving.capabilities.metrics.shard.account import DAY_MS, AccountState
from luna_serving.capabilities.metrics.shard.budget import Hold, SampleBudget, TooBusyError
from luna_serving.capabilities.metrics.shard.flushing import day_of, number_of
from luna_serving.capabilities.metrics.shard.listing import selected_by
from luna_serving.capabilities.metrics.shard.partials import (
    HOUR_MS,
    NO_ROWS,
    Rows,
    combined,
    joined,
    moments_of,
    partials_of,
    totals,
    unpack,
)
from luna_serving.capabilities.metrics.shard.querying import refused
from luna_serving.capabilities.metrics.shard.runs import Floats, Ints, spans
from luna_serving.capabilities.metrics.shard.selecting import Columns, Selector, TooManySamplesError
from luna_serving.capabilities.metrics.store import rollups
from luna_serving.engines.promql.api import is_stale
from luna_serving.samples.answers import QueryRefused, Refusal

INTERVALS_MS: Final = (60_000, 300_000, HOUR_MS, DAY_MS)


class Summer:
    """Sums samples up."""

    def __init__(
        self,
        engine: AsyncEngine,
        selector: Selector,
        pool: ThreadPoolExecutor,
        budget: SampleBudget,
        metrics: ShardMetrics,
    ) -> None:
        self._engine = engine
        self._selector = selector
        self._pool = pool
        self._budget = budget
        self._metrics = metrics

    async def statistics(self, state: AccountState, request: Statistics) -> Summary | QueryRefused:
        """Statistics of all samples of the series that a selector matches, in a period; exact, from the samples."""
        began = time.monotonic()
        try:
            ids = selected_by(state, request.selector)
            first_ms, last_ms = request.first_ms, request.last_ms
            most = min(request.most_samples, self._budget.most)
            with self._budget.hold() as held:
                columns = await self._selector.columns(state, ids, first_ms, last_ms, most, held)
                summary: Summary = await self._run(held, summary_of, columns, request.quantiles)
        except (TooManySamplesError, TooBusyError) as e:
            return refused(e)
        except ValueError as e:
            return QueryRefused(Refusal.PARSE, str(e))
        finally:
            self._metrics.queried("statistics", time.monotonic() - began)
        return summary

    async def aggregated(self, state: AccountState, request: Aggregate) -> Aggregated | QueryRefused:
        """The buckets of series whose samples are in a period, bounds inclusive; whole buckets at its ends."""
        began = time.monotonic()
        try:
            ids = selected_by(state, request.selector)
            interval_ms = request.interval_ms
            first_ms = max(request.first_ms, state.oldest_ms()) // interval_ms * interval_ms
            end_ms = (request.last_ms // interval_ms + 1) * interval_ms
            ids = state.latest.between(ids, first_ms, end_ms - 1)
            # No further than there are samples: the period may be that of all times.
            low_ms, high_ms = state.latest.extent(ids)
            first_ms = max(first_ms, low_ms // interval_ms * interval_ms)
            end_ms = min(end_ms, (high_ms // interval_ms + 1) * interval_ms)
            most = min(request.most_samples, self._budget.most)
            if interval_ms < HOUR_MS:
                rows = await self._direct(state, ids, first_ms, end_ms, interval_ms, most)
            else:
                rows = await self._hours(state, ids, first_ms, end_ms, most)
                if interval_ms > HOUR_MS:
                    rows = [combined(each, interval_ms) for each in rows]
            # Buckets without samples are none: only now it is known how many there are.
            if sum(map(len, rows)) > request.most_buckets:
                detail = (
                    f"The answer would have more than {request.most_buckets} buckets. Ask for a longer interval, a "
                    "shorter period or fewer series."
                )
                return QueryRefused(Refusal.LIMIT, detail)
        except (TooManySamplesError, TooBusyError) as e:
            return refused(e)
        except ValueError as e:
            return QueryRefused(Refusal.PARSE, str(e))
        finally:
            self._metrics.queried("aggregated", time.monotonic() - began)
        found = [_buckets(state, each, of) for each, of in zip(ids.tolist(), rows, strict=True) if len(of)]
        return Aggregated(sorted(found, key=lambda each: sorted(each.labels.items())))

    async def _direct(
        self, state: AccountState, ids: Ints, first_ms: int, end_ms: int, interval_ms: int, most: int
    ) -> list[Rows]:
        with self._budget.hold() as held:
            columns = await self._selector.columns(state, ids, first_ms, end_ms - 1, most, held)
            found: list[Rows] = await self._run(held, _partials, columns, interval_ms)
        return found

    async def _run(self, held: Hold, compute: Callable[..., Any], *arguments: Any) -> Any:  # noqa: ANN401
        work = self._pool.submit(compute, *arguments)
        held.keep_for(work)
        return await asyncio.wrap_future(work)

    async def _hours(self, state: AccountState, ids: Ints, first_ms: int, end_ms: int, most: int) -> list[Rows]:
        """Hourly partials: from the stored ones where they hold, else from samples."""
        first_day, last_day = first_ms // DAY_MS, (end_ms - 1) // DAY_MS
        clean = [number for number in sorted(map(number_of, state.days)) if first_day <= number <= last_day]
        stored: dict[tuple[int, date], bytes] = {}
        if clean and len(ids):
            changes = state.changes
            async with self._engine.connect() as connection:
                stored = await rollups.read(
                    connection, state.account_id, ids.tolist(), day_of(clean[0]), day_of(clean[-1])
                )
            if state.changes != changes:
                # A flush was committed meanwhile: what was read may be marked by now.
                stored = {}
        oldest_ms = state.oldest_ms()
        parts: list[dict[int, Rows]] = [{} for _ in range(len(ids))]
        direct: dict[int, list[int]] = {}
        for day in range(first_day, last_day + 1):
            begin, end = day * DAY_MS, (day + 1) * DAY_MS
            fresh = self._in_memory(state, ids, begin, end - 1)
            for place, series_id in enumerate(ids.tolist()):
                data = stored.get((series_id, day_of(day)))
                if data is None or fresh[place] or begin < oldest_ms:
                    direct.setdefault(day, []).append(place)
                else:
                    parts[place][day] = unpack(data)
        left = most
        for day, places in direct.items():
            if (
                day_of(day) not in state.days
                and not self._in_memory(state, ids, day * DAY_MS, (day + 1) * DAY_MS - 1).any()
            ):
                continue
            begin, end = max(first_ms, day * DAY_MS), min(end_ms, (day + 1) * DAY_MS) - 1
            with self._budget.hold() as held:
                columns = await self._selector.columns(state, ids[places], begin, end, left, held)
                left -= sum(len(each[0]) for each in columns)
                found = await self._run(held, _partials, columns, HOUR_MS)
            for place, rows in zip(places, found, strict=True):
                parts[place][day] = rows
        whole = [joined([of[day] for day in sorted(of)]) for of in parts]
        return [each[(each["start_ms"] >= first_ms) & (each["start_ms"] < end_ms)] for each in whole]

    @staticmethod
    def _in_memory(state: AccountState, ids: Ints, first_ms: int, last_ms: int) -> np.ndarray:
        """Whether series have samples in a period that no chunk has yet."""
        found = np.zeros(len(ids), np.bool_)
        runs = [run for layer in state.layers if not layer.flushed for run in layer.runs] + state.head.runs
        for run in runs:
            low, high = spans(run, ids, first_ms, last_ms, state.origin_ms)
            found |= high > low
        return found


def summary_of(columns: Sequence[Columns], quantiles: Sequence[float]) -> Summary:
    """Statistics of samples of several series together.

    Args:
        columns: of the series, by key.
        quantiles: between 0 and 1, interpolated linearly (Hyndman and Fan, 1996, type 7).
    """
    parts = [(times[kept], values[kept]) for times, values in columns if (kept := ~is_stale(values)).any()]
    if not parts:
        nan = float("nan")
        return Summary(0, nan, nan, nan, nan, dict.fromkeys(quantiles, nan), None, None)
    times = np.concatenate([each[0] for each in parts])
    values = np.concatenate([each[1] for each in parts])
    moments = moments_of(values)
    first, last = int(np.argmin(times)), int(len(times) - 1 - np.argmax(times[::-1]))
    ordered: Floats = values[~np.isnan(values)]
    found = np.quantile(ordered, list(quantiles)) if len(ordered) else np.full(len(quantiles), np.nan)
    return Summary(
        len(values),
        float(np.fmin.reduce(values)),
        float(np.fmax.reduce(values)),
        moments.mean,
        moments.deviation,
        dict(zip(quantiles, map(float, found), strict=True)),
        (int(times[first]), float(values[first])),
        (int(times[last]), float(values[last])),
    )


def _partials(columns: Sequence[Columns], interval_ms: int) -> list[Rows]:
    return [partials_of(*each, interval_ms) if len(each[0]) else NO_ROWS for each in columns]


def _buckets(state: AccountState, series_id: int, rows: Rows) -> Buckets:
    return Buckets(
        state.index.labels(series_id),
        rows["start_ms"].copy(),
        rows["count"].copy(),
        totals(rows),
        rows["minimum"].copy(),
        rows["maximum"].copy(),
        rows["first"].copy(),
        rows["last"].copy(),
    )

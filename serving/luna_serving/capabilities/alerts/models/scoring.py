"""Evaluates anomaly rules: learns a model of each series from its history, and scores each new sample.

A model is learnt from the week before, and again every day; a young one, from less than a day, every hour. What was
learnt and how far the scores have come is committed with the alerts: every sample is judged once, whatever dies.
"""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, Final

import numpy as np
import orjson
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.capabilities.alerts.models.asking import Asks
from luna_serving.capabilities.alerts.rules.rule import Rule
from luna_serving.capabilities.alerts.store.models import ModelRow, read_models
from luna_serving.engines.anomaly import api as anomaly
from luna_serving.engines.promql.api import LOOKBACK_MS, NAME_LABEL, Matrix, Series, Vector, is_stale
from luna_serving.samples.answers import QueryRefused
from luna_serving.samples.identity import series_key
from luna_serving.samples.requests import InstantQuery

HISTORY_MS: Final = anomaly.HISTORY_MS
DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
# A series without enough samples is tried again after this.
UNLEARNT_MS: Final = 60_000
# An evaluation that was late reads this much at most; older samples are not judged.
LONGEST_WINDOW_MS: Final = 6 * HOUR_MS

Samples = tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.float64]]]


@dataclass(frozen=True, slots=True)
class Judged:
    """The anomalous series of a rule at one time, and what is to be kept."""

    result: Vector | QueryRefused
    rows: Sequence[ModelRow] = ()


@dataclass(frozen=True, slots=True)
class _Known:
    """A series as it is stored."""

    learnt_at_ms: int
    since_ms: int
    """The first sample of the history that it was learnt from."""
    learnt: bool
    score: float
    """Of the last sample."""
    at_ms: int
    """The last sample that was judged."""
    caution: anomaly.Caution
    is_current: bool
    """Whether model and state are of the engine's format; else the series is learnt again, and goes on."""


class Scoring:
    """Evaluates anomaly rules. Does not own the engine."""

    def __init__(self, engine: AsyncEngine, asks: Asks) -> None:
        self._engine = engine
        self._asks = asks

    async def judge(self, account_id: int, rules: Sequence[tuple[Rule, int]]) -> list[Judged]:
        """Judge the series of rules, each at a time.

        Raises:
            ShardUnavailable: the samples cannot be read.
        """
        if not rules:
            return []
        stored: dict[uuid.UUID, dict[bytes, ModelRow]] = {}
        for row in await read_models(self._engine, [rule.id for rule, _ in rules]):
            stored.setdefault(row.rule_id, {})[row.series] = row
        return [await self._of_rule(account_id, rule, at_ms, stored.get(rule.id, {})) for rule, at_ms in rules]

    async def replay(
        self, account_id: int, rule: Rule, times_ms: Sequence[int]
    ) -> tuple[dict[int, Vector], frozenset[int]] | QueryRefused:
        """The anomalous series at each time, by models that are learnt before the first; and the times with samples."""
        offset = rule.query_offset_ms
        first, last = times_ms[0] - offset, times_ms[-1] - offset
        answer = await self._samples(account_id, rule.query, first - HISTORY_MS, last)
        if isinstance(answer, QueryRefused):
            return answer
        return await asyncio.to_thread(_replayed, rule, answer, times_ms)

    async def _of_rule(self, account_id: int, rule: Rule, at_ms: int, stored: Mapping[bytes, ModelRow]) -> Judged:
        upto_ms = at_ms - rule.query_offset_ms
        known = {key: _known(row) for key, row in stored.items()}
        last_ms = min((each.at_ms for each in known.values() if each.at_ms > upto_ms - HOUR_MS), default=upto_ms)
        window_ms = min(max(upto_ms - last_ms, LOOKBACK_MS, rule.interval_ms), LONGEST_WINDOW_MS)
        answer = await self._samples(account_id, rule.query, upto_ms - window_ms, upto_ms)
        if isinstance(answer, QueryRefused):
            return Judged(answer)
        series = {_key(each): each for each in answer.series}
        learning = [key for key in series if key not in known or _is_old(known[key], upto_ms)]
        histories: dict[bytes, Series] = {}
        if learning:
            history = await self._samples(account_id, rule.query, upto_ms - HISTORY_MS, upto_ms)
            if isinstance(history, QueryRefused):
                return Judged(history)
            histories = {key: each for each in history.series if (key := _key(each)) in set(learning)}
        return await asyncio.to_thread(_judged, rule, upto_ms, at_ms, series, histories, stored)

    async def _samples(self, account_id: int, selector: str, after_ms: int, upto_ms: int) -> Matrix | QueryRefused:
        text = f"{selector}[{upto_ms - after_ms}ms]"
        (answer,) = await self._asks.instant(account_id, [InstantQuery(text, upto_ms)])
        found: Matrix | QueryRefused = answer
        return found


def _key(series: Series) -> bytes:
    return series_key(series.labels.get(NAME_LABEL, ""), {n: v for n, v in series.labels.items() if n != NAME_LABEL})


def _known(row: ModelRow) -> _Known:
    state = orjson.loads(row.state)
    score = state["score"]
    return _Known(
        row.learnt_at_ms,
        state["since"],
        state["learnt"],
        np.nan if score is None else score,
        row.state_at_ms,
        anomaly.Caution(*state.get("caution", ())),
        state["state"]["format"] == anomaly.FORMAT,
    )


def _is_old(known: _Known, at_ms: int) -> bool:
    """Whether a series is to be learnt again."""
    if not known.is_current:
        return True
    age_ms = at_ms - known.learnt_at_ms
    if not known.learnt:
        return age_ms >= UNLEARNT_MS
    return age_ms >= (DAY_MS if known.learnt_at_ms - known.since_ms >= DAY_MS else HOUR_MS)


def _finite(series: Series) -> Samples:
    """Without staleness markers, which end a series and are no samples."""
    kept = ~is_stale(series.values)
    return series.timestamps[kept], series.values[kept]


def _until(samples: Samples, last_ms: int) -> Samples:
    count = int(np.searchsorted(samples[0], last_ms, side="right"))
    return samples[0][:count], samples[1][:count]


def _after(samples: Samples, first_ms: int) -> Samples:
    begin = int(np.searchsorted(samples[0], first_ms, side="right"))
    return samples[0][begin:], samples[1][begin:]


def _judged(
    rule: Rule,
    upto_ms: int,
    at_ms: int,
    series: Mapping[bytes, Series],
    histories: Mapping[bytes, Series],
    stored: Mapping[bytes, ModelRow],
) -> Judged:
    """Learn what is to be learnt, score new samples, compare."""
    keys = list(series)
    if not keys:
        return Judged(Vector(at_ms, (), np.zeros(0)))
    known = {key: _known(stored[key]) for key in keys if key in stored}
    judged_until = {key: known[key].at_ms if key in known else upto_ms - rule.interval_ms for key in keys}
    fresh = [key for key in keys if key in histories]
    past = [_until(_finite(histories[key]), judged_until[key]) for key in fresh]
    parts_m, parts_s, order = [], [], []
    if fresh:
        models, states = anomaly.learn(past)
        parts_m, parts_s, order = [models], [states], list(fresh)
    rest = [key for key in keys if key not in histories and key in stored and known[key].is_current]
    if rest:
        parts_m.append(anomaly.models_of([orjson.loads(stored[key].model or b"") for key in rest]))
        parts_s.append(anomaly.states_of([orjson.loads(stored[key].state)["state"] for key in rest]))
        order += rest
    if not order:
        return Judged(Vector(at_ms, (), np.zeros(0)))
    models = parts_m[0] if len(parts_m) == 1 else anomaly.Models.joined(parts_m)
    states = parts_s[0] if len(parts_s) == 1 else anomaly.States.joined(parts_s)
    samples = [_after(_finite(series[key]), judged_until[key]) for key in order]
    scores, sums, after = anomaly.advance(models, states, samples)
    cautions = [known[key].caution if key in known else anomaly.Caution() for key in order]
    times = [stamps for stamps, _ in samples]
    alarms, cautions = anomaly.alarms(models, rule.false_alarms_per_week, times, scores, sums, cautions)
    labels, values, rows = [], [], []
    documents, written = models.values() if fresh else [], after.values()
    for i, key in enumerate(order):
        new = scores[i][np.isfinite(scores[i])]
        last = float(new[-1]) if len(new) else (known[key].score if key in known else np.nan)
        off = scores[i][alarms[i]]
        worst = float(off[np.abs(off).argmax()]) if len(off) else last
        stamps, _ = _finite(series[key])
        is_live = len(stamps) > 0 and upto_ms - int(stamps[-1]) < LOOKBACK_MS and not _ended(series[key])
        if is_live and np.isfinite(worst) and (len(off) or (not len(new) and cautions[i].alarm)):
            labels.append(series[key].labels)
            values.append(worst)
        is_fresh = key in histories
        begin = int(past[fresh.index(key)][0][0]) if is_fresh and len(past[fresh.index(key)][0]) else upto_ms
        state = {
            "state": written[i],
            "since": begin if is_fresh else known[key].since_ms,
            "learnt": bool(models.learnt[i]),
            "score": last if np.isfinite(last) else None,
            "caution": astuple(cautions[i]),
        }
        state_at = max(judged_until[key], int(stamps[-1]) if len(stamps) else 0)
        model = orjson.dumps(documents[i]) if is_fresh else None
        learnt_at = upto_ms if is_fresh else known[key].learnt_at_ms
        rows.append(ModelRow(rule.id, key, model, learnt_at, orjson.dumps(state), state_at))
    return Judged(Vector(at_ms, tuple(labels), np.array(values, dtype=np.float64)), rows)


def _ended(series: Series) -> bool:
    """Whether the series' last sample is a staleness marker."""
    return bool(len(series.values)) and bool(is_stale(series.values[-1:])[0])


def _replayed(rule: Rule, matrix: Matrix, times_ms: Sequence[int]) -> tuple[dict[int, Vector], frozenset[int]]:
    offset, start_ms = rule.query_offset_ms, times_ms[0] - rule.query_offset_ms
    samples = [_finite(each) for each in matrix.series]
    models, states = anomaly.learn([_until(each, start_ms - 1) for each in samples])
    later = [_after(each, start_ms - 1) for each in samples]
    scores, sums, _ = anomaly.advance(models, states, later)
    cautions = [anomaly.Caution()] * len(later)
    stamps_of = [stamps for stamps, _ in later]
    alarms, _ = anomaly.alarms(models, rule.false_alarms_per_week, stamps_of, scores, sums, cautions)
    upto = np.array(times_ms, dtype=np.int64) - offset
    found: dict[int, tuple[list[Mapping[str, str]], list[float]]] = {}
    has_data: set[int] = set()
    for series, stamps, of, alarm in zip(matrix.series, stamps_of, scores, alarms, strict=True):
        ends = np.searchsorted(stamps, upto, side="right")
        begins = np.concatenate([[0], ends[:-1]])
        worst, after = np.nan, np.nan
        for at_ms, begin, end in zip(times_ms, begins.tolist(), ends.tolist(), strict=True):
            new = np.flatnonzero(np.isfinite(of[begin:end])) + begin
            worst = after
            if len(new):
                off = of[new][alarm[new]]
                worst = float(off[np.abs(off).argmax()]) if len(off) else np.nan
                # Until there is another sample, the last one is what is known.
                after = float(of[new[-1]]) if alarm[new[-1]] else np.nan
            if not end or at_ms - offset - int(stamps[end - 1]) >= LOOKBACK_MS:
                continue
            has_data.add(at_ms)
            if np.isfinite(worst):
                labels, values = found.setdefault(at_ms, ([], []))
                labels.append(series.labels)
                values.append(worst)
    vectors = {at: Vector(at, tuple(labels), np.array(values)) for at, (labels, values) in found.items()}
    return vectors, frozenset(has_data)

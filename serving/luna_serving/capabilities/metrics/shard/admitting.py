"""Which samples of a write are kept: limits of an account, ids of its series."""

import time
from dataclasses import dataclass
from typing import Final

import numpy as np

from luna_serving.capabilities.metrics.shard.account import AccountState
from luna_serving.capabilities.metrics.shard.runs import HIGHEST_SERIES, Ints, Run, run_of
from luna_serving.capabilities.metrics.store.accounts import NewSeries
from luna_serving.samples.answers import RefusedSeries, TooFast
from luna_serving.samples.batch import Batch
from luna_serving.samples.identity import read_key
from luna_serving.samples.requests import WriteLimits

# Seconds for which the number of active series is used again; series that become active meanwhile are added.
ACTIVE_FRESH_S: Final = 5.0
# Series of a write whose refusal names a label: that takes some microseconds each, on the event loop.
EXPLAINED: Final = 1_000


@dataclass(frozen=True, slots=True)
class Admitted:
    """What is kept of a write."""

    run: Run
    samples: int
    new: tuple[NewSeries, ...]
    refused: tuple[RefusedSeries, ...]


def admit(state: AccountState, batch: Batch, limits: WriteLimits, active_s: float) -> Admitted | TooFast:
    """Hold a write to the account's limits, and give ids to new series.

    Args:
        state: of the account.
        batch: the write.
        limits: of the account.
        active_s: seconds after its last sample for which a series is active.
    """
    now_s = time.monotonic()
    wait_s = state.bucket.wait_s(batch.samples, limits.samples_per_s, now_s)
    if wait_s:
        detail = (
            f"The limit metrics.samples_per_second is {limits.samples_per_s}, in bursts of ten seconds' worth. "
            "Send fewer samples, or ask for a higher limit."
        )
        return TooFast(wait_s, detail)
    lengths = np.diff(batch.offsets)
    ids = _known(state, batch)
    beyond = _beyond(state, batch, ids, limits, now_s - active_s, now_s)
    new = _assign(state, batch, ids, beyond)
    kept = ids > 0
    # From now on, not only after the commit: retention must not remove what is being written to.
    state.latest.reserve(state.next_series)
    state.latest.written_s[ids[kept]] = now_s
    refused = _refusals(state, batch, np.flatnonzero(~kept), limits)
    series = np.repeat(ids, lengths)
    if kept.all():
        run = run_of(series, batch.timestamps, batch.values, state.origin_ms)
        return Admitted(run, batch.samples, new, ())
    of_kept = np.repeat(kept, lengths)
    run = run_of(series[of_kept], batch.timestamps[of_kept], batch.values[of_kept], state.origin_ms)
    return Admitted(run, int(lengths[kept].sum()), new, refused)


def _known(state: AccountState, batch: Batch) -> Ints:
    """The id of each series of a batch; 0 for a new one."""
    known, assigned = state.index.ids.get, state.assigned.get
    return np.array([known(key) or assigned(key) or 0 for key in batch.keys], np.int64)


def _beyond(
    state: AccountState, batch: Batch, ids: Ints, limits: WriteLimits, since_s: float, now_s: float
) -> frozenset[bytes]:
    """The series that are not active and have no room."""
    written = state.latest.written_s
    # The id 0 is no series; nobody writes to it.
    idle = written[ids] < since_s
    if not idle.any():
        return frozenset()
    wanted = dict.fromkeys(batch.keys[each] for each in np.flatnonzero(idle).tolist())
    if now_s - state.active_at > ACTIVE_FRESH_S:
        state.active, state.active_at = state.latest.active(since_s), now_s
    room = max(0, limits.active_series - state.active)
    room = min(room, HIGHEST_SERIES - state.next_series)
    beyond = frozenset(list(wanted)[room:])
    state.active += len(wanted) - len(beyond)
    return beyond


def _assign(state: AccountState, batch: Batch, ids: Ints, beyond: frozenset[bytes]) -> tuple[NewSeries, ...]:
    new = []
    for place in np.flatnonzero(ids == 0).tolist():
        key = batch.keys[place]
        series_id = state.assigned.get(key)
        if series_id is None:
            if key in beyond:
                continue
            series_id = state.assigned[key] = state.next_series
            state.next_series += 1
            new.append(NewSeries(state.account_id, series_id, key))
        ids[place] = series_id
    if beyond:
        for place, key in enumerate(batch.keys):
            if key in beyond:
                ids[place] = 0
    return tuple(new)


def _refusals(state: AccountState, batch: Batch, places: Ints, limits: WriteLimits) -> tuple[RefusedSeries, ...]:
    refused = []
    rest = f"One series more than the limit metrics.active_series, {limits.active_series}, allows."
    for number, place in enumerate(places.tolist()):
        if number >= EXPLAINED:
            refused.append(RefusedSeries(place, rest))
            continue
        name, labels = read_key(batch.keys[place])
        label, values = state.index.explosive(labels)
        cause = f" The label {label!r} has {values} values." if values > 1 else ""
        detail = (
            f"{name!r} would be one series more than the limit metrics.active_series, {limits.active_series}, allows."
            f"{cause} Leave out labels with many values, or ask for a higher limit."
        )
        refused.append(RefusedSeries(place, detail))
    return tuple(refused)

"""Answers from the index alone: last samples, series, labels, metadata."""

from collections.abc import Mapping, Sequence

import numpy as np

from luna_serving.capabilities.metrics.requests import Listed, ListLabels, ListSeries, Metadata
from luna_serving.capabilities.metrics.shard.account import AccountState
from luna_serving.capabilities.metrics.shard.runs import Ints
from luna_serving.engines.promql.api import PromqlError, is_stale, parse_selector
from luna_serving.samples.answers import LatestSamples
from luna_serving.samples.requests import Latest


class Lister:
    """Lists what an account has."""

    async def latest(self, state: AccountState, request: Latest) -> LatestSamples:
        """The last sample of each series, those within the retention.

        Raises:
            ValueError: a text is no selector.
        """
        oldest_ms = state.oldest_ms()
        selected = []
        for text in request.selectors:
            ids = selected_by(state, text)
            times, values = state.latest.of(ids)
            selected.append(ids[(times >= oldest_ms) & ~is_stale(values)])
        ids = np.unique(np.concatenate([np.empty(0, np.int64), *selected]))[: request.most_series]
        times, values = state.latest.of(ids)
        places = [np.searchsorted(ids, each[np.isin(each, ids, assume_unique=True)]) for each in selected]
        return LatestSamples([state.index.key(each) for each in ids.tolist()], times, values, places)

    async def series(self, state: AccountState, request: ListSeries) -> Listed:
        """The labels of series.

        Raises:
            ValueError: a text is no selector.
        """
        ids = _within(state, request.selectors, request.first_ms, request.last_ms)
        items = [state.index.labels(each) for each in ids[: request.most].tolist()]
        return Listed(items, len(ids) > request.most)

    async def labels(self, state: AccountState, request: ListLabels) -> Listed:
        """The names of labels, or the values of one.

        Raises:
            ValueError: a text is no selector.
        """
        ids = _within(state, request.selectors, request.first_ms, request.last_ms)
        found = state.index.names_of(ids) if request.label is None else state.index.values_of(request.label, ids)
        return Listed(found[: request.most], len(found) > request.most)

    async def metadata(self, state: AccountState, request: Metadata) -> Mapping[str, tuple[str, str, str]]:
        """Type, help and unit of metrics."""
        if request.name is not None:
            return {request.name: state.metadata[request.name]} if request.name in state.metadata else {}
        return dict(sorted(state.metadata.items())[: request.most])


def selected_by(state: AccountState, text: str) -> Ints:
    """The series that a selector matches.

    Raises:
        ValueError: it is none.
    """
    try:
        return state.index.select(parse_selector(text))
    except PromqlError as e:
        raise ValueError(str(e)) from e


def _within(state: AccountState, selectors: Sequence[str], first_ms: int, last_ms: int) -> Ints:
    parts = [selected_by(state, each) for each in selectors] or [state.index.all()]
    ids = parts[0] if len(parts) == 1 else np.unique(np.concatenate(parts))
    return state.latest.between(ids, max(first_ms, state.oldest_ms()), last_ms)

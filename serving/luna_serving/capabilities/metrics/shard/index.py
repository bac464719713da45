"""The index of an account's series: keys to ids, and labels to series."""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.metrics.shard.runs import Ints
from luna_serving.engines.promql.api import NAME_LABEL, Matcher, MatchOperator
from luna_serving.samples.identity import read_key

# Labels of series that are kept decoded, about 0.5 kB each.
DECODED: Final = 100_000
_NONE: Final[Ints] = np.empty(0, np.int64)


class SeriesIndex:
    """The series of one account."""

    def __init__(self) -> None:
        self.ids: dict[bytes, int] = {}
        self._keys: dict[int, bytes] = {}
        self._postings: dict[str, dict[str, array[int]]] = {}
        self._labels: dict[int, Mapping[str, str]] = {}
        self._selected: dict[tuple[Matcher, ...], Ints] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: bytes, series_id: int) -> None:
        """Add a series; its id is higher than all before."""
        self.ids[key] = series_id
        self._keys[series_id] = key
        name, labels = read_key(key)
        for label, value in ((NAME_LABEL, name), *labels.items()):
            self._postings.setdefault(label, {}).setdefault(value, array("q")).append(series_id)
        self._selected.clear()

    def remove(self, series_ids: Iterable[int]) -> None:
        """Remove series."""
        gone = set(series_ids)
        touched: dict[str, set[str]] = {}
        for each in gone:
            key = self._keys.pop(each, None)
            if key is None:
                continue
            del self.ids[key]
            self._labels.pop(each, None)
            name, labels = read_key(key)
            for label, value in ((NAME_LABEL, name), *labels.items()):
                touched.setdefault(label, set()).add(value)
        for label, values in touched.items():
            of_label = self._postings[label]
            for value in values:
                left = array("q", (each for each in of_label[value] if each not in gone))
                if left:
                    of_label[value] = left
                else:
                    del of_label[value]
            if not of_label:
                del self._postings[label]
        self._selected.clear()

    def key(self, series_id: int) -> bytes:
        """The key of a series."""
        return self._keys[series_id]

    def labels(self, series_id: int) -> Mapping[str, str]:
        """The labels of a series, with `__name__`; do not change them."""
        found = self._labels.get(series_id)
        if found is None:
            if len(self._labels) >= DECODED:
                self._labels.clear()
            name, labels = read_key(self._keys[series_id])
            found = self._labels[series_id] = {NAME_LABEL: name, **labels}
        return found

    def all(self) -> Ints:
        """The ids of all series, ascending."""
        return np.fromiter(sorted(self._keys), np.int64, len(self._keys))

    def select(self, matchers: tuple[Matcher, ...]) -> Ints:
        """The ids of the series that pass all conditions, ascending."""
        found = self._selected.get(matchers)
        if found is None:
            found = self._select(matchers)
            if len(self._selected) >= 1_000:
                self._selected.clear()
            self._selected[matchers] = found
        return found

    def names_of(self, series: Ints | None = None) -> list[str]:
        """The names of labels, sorted; of all series or of these."""
        if series is None:
            return sorted(self._postings)
        return sorted({label for each in series.tolist() for label in self.labels(each)})

    def values_of(self, label: str, series: Ints | None = None) -> list[str]:
        """The values of a label, sorted; of all series or of these."""
        of_label = self._postings.get(label, {})
        if series is None:
            return sorted(of_label)
        chosen = set(series.tolist())
        return sorted(value for value, ids in of_label.items() if not chosen.isdisjoint(ids))

    def count(self, name: str) -> int:
        """How many series a metric has."""
        return len(self._postings.get(NAME_LABEL, {}).get(name, ()))

    def explosive(self, labels: Iterable[str]) -> tuple[str, int]:
        """Of these labels the one that has the most values, and how many."""
        counts = {label: len(self._postings.get(label, ())) for label in labels if label != NAME_LABEL}
        if not counts:
            return "", 0
        most = max(counts, key=lambda label: (counts[label], label))
        return most, counts[most]

    def cardinality(self) -> tuple[str, int]:
        """The label that has the most values, and how many."""
        return self.explosive(self._postings)

    def _select(self, matchers: Sequence[Matcher]) -> Ints:
        # Conditions that the empty value does not pass narrow the choice; equality first, which is a look-up.
        narrowing = [each for each in matchers if not each.matches("")]
        narrowing.sort(key=lambda each: each.operator is not MatchOperator.EQUAL)
        found: Ints | None = None
        for matcher in narrowing:
            passes = matcher.value if matcher.operator is MatchOperator.EQUAL else matcher.matches
            ids = self._union(matcher.name, passes)
            found = ids if found is None else np.intersect1d(found, ids, assume_unique=True)
            if not len(found):
                return _NONE
        if found is None:
            found = self.all()
        for matcher in matchers:
            if matcher.matches(""):
                wrong = self._union(matcher.name, partial(_fails, matcher))
                found = np.setdiff1d(found, wrong, assume_unique=True)
        return found

    def _union(self, label: str, passes: str | Callable[[str], bool]) -> Ints:
        of_label = self._postings.get(label)
        if of_label is None:
            return _NONE
        if isinstance(passes, str):
            parts = [of_label[passes]] if passes in of_label else []
        else:
            parts = [ids for value, ids in of_label.items() if passes(value)]
        if not parts:
            return _NONE
        # Copies: an array that a view refers to cannot grow.
        copies: list[NDArray[np.int64]] = [np.array(each, np.int64) for each in parts]
        return copies[0] if len(copies) == 1 else np.sort(np.concatenate(copies))


def _fails(matcher: Matcher, value: str) -> bool:
    return not matcher.matches(value)

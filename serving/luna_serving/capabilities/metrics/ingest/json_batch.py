"""`POST /metrics/batch`: samples as items (`metrics`) or as columns (`series`)."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.metrics.ingest.building import Columns, Singles, check_count, parsed
from luna_serving.capabilities.metrics.ingest.checking import Bounds, UnusableSeries, checked_key
from luna_serving.capabilities.metrics.ingest.json_values import NotAValueError, read_object, to_value
from luna_serving.capabilities.metrics.ingest.results import MAX_LISTED, Parsed, Reason, Rejection, Rejections
from luna_serving.capabilities.metrics.ingest.series_cache import Known, SeriesCache
from luna_serving.capabilities.metrics.ingest.timestamps import NotATimestampError, to_milliseconds
from luna_serving.wire import problems
from luna_serving.wire.pointers import pointer_of
from luna_serving.wire.problems import FieldError

ITEM_MEMBERS: Final = frozenset({"name", "value", "timestamp", "labels"})
SERIES_MEMBERS: Final = frozenset({"name", "labels", "timestamps", "values"})
_NO_LABELS: Final[dict[str, str]] = {}


class UnusableItem(Exception):
    """An item that is rejected: what is wrong, where in it, and the reason."""

    def __init__(self, detail: str, member: tuple[str, ...] = (), reason: Reason = Reason.INVALID) -> None:
        super().__init__(detail)
        self.detail = detail
        self.member = member
        self.reason = reason


class JsonParser:
    """Parses the bodies of the JSON routes, in any thread."""

    def __init__(self, cache: SeriesCache) -> None:
        self._cache = cache

    def parse(self, body: bytes, bounds: Bounds) -> Parsed:
        """Read a batch of one of two forms.

        `{"metrics": [{name, value, timestamp?, labels?}, ..]}`, or
        `{"series": [{name, labels?, timestamps, values}, ..]}`. An item is accepted or
        rejected as a whole, a series of columns too.

        Raises:
            Problem: 422, the body is something else, or has too many samples.
        """
        document = read_object(body, bounds.max_samples)
        if unknown := document.keys() - {"metrics", "series"}:
            name = min(unknown)
            raise problems.invalid(
                FieldError(pointer_of([name]), "Is not permitted here: the members are metrics, series.")
            )
        if len(document) != 1:
            raise problems.invalid(FieldError("", "Must have one member: metrics (items) or series (columns)."))
        ((member, items),) = document.items()
        if not isinstance(items, list):
            raise problems.invalid(FieldError(f"/{member}", "Must be a list of objects."))
        check_count(len(items), bounds, f"/{member}")
        known = self._cache.under(bounds.max_labels)
        return _metrics(items, bounds, known) if member == "metrics" else _series(items, bounds, known)


def read_item(item: object, bounds: Bounds, known: Known) -> tuple[bytes, int, float]:
    """The key, the timestamp in milliseconds and the value of `{name, value, timestamp?, labels?}`.

    Raises:
        UnusableItem: what is wrong.
    """
    members = _members(item, ITEM_MEMBERS)
    key = _key(members, bounds, known)
    try:
        if "value" not in members:
            raise UnusableItem("Field required.", ("value",))
        value = to_value(members["value"])
    except NotAValueError as e:
        raise UnusableItem(str(e), ("value",)) from e
    stamp = members.get("timestamp")
    try:
        return key, bounds.now_ms if stamp is None else to_milliseconds(stamp), value
    except NotATimestampError as e:
        raise UnusableItem(str(e), ("timestamp",)) from e


def _metrics(items: list[Any], bounds: Bounds, known: Known) -> Parsed:
    rejections = Rejections(most=MAX_LISTED)
    singles = Singles()
    add = singles.add
    for index, item in enumerate(items):
        try:
            key, stamp, value = read_item(item, bounds, known)
        except UnusableItem as e:
            rejections.add(_rejection("metrics", index, e))
        else:
            add(key, index, stamp, value)
    return _sorted(parsed(singles.columns(), bounds, rejections, pointer=_pointer_to("metrics", "timestamp")))


def _series(items: list[Any], bounds: Bounds, known: Known) -> Parsed:
    rejections = Rejections(most=MAX_LISTED)
    keys: list[bytes] = []
    indices: list[int] = []
    stamps: list[NDArray[np.int64]] = []
    values: list[NDArray[np.float64]] = []
    samples = 0
    for index, item in enumerate(items):
        try:
            key, at, value = _read_columns(item, bounds, known)
        except UnusableItem as e:
            count = len(item["values"]) if isinstance(item, dict) and isinstance(item.get("values"), list) else 1
            rejections.add(_rejection("series", index, e, count))
            samples += count
        else:
            keys.append(key)
            indices.append(index)
            stamps.append(at)
            values.append(value)
            samples += len(value)
    check_count(samples, bounds, "/series")
    columns = Columns(
        keys,
        np.array(indices, np.int64),
        np.cumsum([0, *map(len, stamps)], dtype=np.int64),
        np.concatenate([np.empty(0, np.int64), *stamps]),
        np.concatenate([np.empty(0, np.float64), *values]),
    )
    pointer = _pointer_to("series", "timestamps")
    return _sorted(parsed(columns, bounds, rejections, whole=True, pointer=pointer))


def _read_columns(item: object, bounds: Bounds, known: Known) -> tuple[bytes, NDArray[np.int64], NDArray[np.float64]]:
    members = _members(item, SERIES_MEMBERS)
    key = _key(members, bounds, known)
    stamps, values = _list(members, "timestamps"), _list(members, "values")
    if len(stamps) != len(values):
        wrong = f"Has {len(values)} values for {len(stamps)} timestamps: give one value per timestamp."
        raise UnusableItem(wrong, ("values",))
    # The types first: NumPy would convert texts and booleans.
    whole = set(map(type, stamps)) == {int} and min(stamps) >= -(2**63) and max(stamps) < 2**63
    numbers = set(map(type, values)) <= {int, float}
    at = np.array(stamps if whole else _each(stamps, "timestamps", to_milliseconds), np.int64)
    return key, at, np.array(values if numbers else _each(values, "values", to_value), np.float64)


def _each(column: list[Any], member: str, read: Callable[[object], Any]) -> list[Any]:
    found = []
    for place, each in enumerate(column):
        try:
            found.append(read(each))
        except (NotAValueError, NotATimestampError) as e:
            raise UnusableItem(str(e), (member, str(place))) from e
    return found


def _list(members: dict[str, Any], name: str) -> list[Any]:
    column = members.get(name)
    if not isinstance(column, list) or not column:
        raise UnusableItem("Must be a list of at least one element.", (name,))
    return column


def _members(item: object, permitted: frozenset[str]) -> dict[str, Any]:
    if not isinstance(item, dict):
        raise UnusableItem("Must be an object.")
    if not item.keys() <= permitted:
        wrong = f"Is not permitted here: the members are {', '.join(sorted(permitted))}."
        raise UnusableItem(wrong, (min(item.keys() - permitted),))
    return item


def _key(members: dict[str, Any], bounds: Bounds, known: Known) -> bytes:
    name, labels = members.get("name"), members.get("labels")
    if labels is None:
        labels = _NO_LABELS
    elif type(labels) is not dict:
        raise UnusableItem("Must be an object of strings.", ("labels",))
    # A name or value that is no text may be an unhashable list; none is equal to a valid spelling.
    spelling = (name, *labels.items())
    try:
        key = known.get(spelling)
    except TypeError:
        key = None
    if key is None:
        try:
            key = checked_key(name, labels.items(), bounds.max_labels)
        except UnusableSeries as e:
            raise UnusableItem(e.detail, e.member, e.reason) from e
        known.remember(spelling, key)
    return key


def _rejection(member: str, index: int, wrong: UnusableItem, samples: int = 1) -> Rejection:
    pointer = pointer_of([member, str(index), *wrong.member])
    return Rejection(index, wrong.reason, wrong.detail, pointer, samples)


def _pointer_to(member: str, stamps: str) -> Callable[[int], str]:
    return lambda index: f"/{member}/{index}/{stamps}"


def _sorted(found: Parsed) -> Parsed:
    """With rejections in the order of their items."""
    found.rejections.kept.sort(key=lambda rejection: rejection.index)
    return found

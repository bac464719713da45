"""`POST /metrics/ingest`: one sample."""

from luna_serving.capabilities.metrics.ingest.building import Singles, parsed
from luna_serving.capabilities.metrics.ingest.checking import Bounds
from luna_serving.capabilities.metrics.ingest.json_batch import UnusableItem, read_item
from luna_serving.capabilities.metrics.ingest.json_values import read_object
from luna_serving.capabilities.metrics.ingest.results import Parsed, Rejections
from luna_serving.capabilities.metrics.ingest.series_cache import SeriesCache
from luna_serving.wire import problems
from luna_serving.wire.pointers import pointer_of
from luna_serving.wire.problems import TYPE_BASE, FieldError


def parse_sample(body: bytes, bounds: Bounds, cache: SeriesCache) -> Parsed:
    """Read `{name, value, timestamp?, labels?}`.

    Raises:
        Problem: 422, with a pointer. What would be the `type` of a rejection in a batch is its member `reason`.
    """
    item = read_object(body, 1)
    try:
        key, stamp, value = read_item(item, bounds, cache.under(bounds.max_labels))
    except UnusableItem as e:
        facts = {"reason": TYPE_BASE + e.reason}
        raise problems.invalid(FieldError(pointer_of(e.member), e.detail), facts=facts) from e
    singles = Singles()
    singles.add(key, 0, stamp, value)
    found = parsed(singles.columns(), bounds, Rejections(most=1), pointer=lambda _: "/timestamp")
    for each in found.rejections.kept:
        raise problems.invalid(FieldError(each.pointer, each.detail), facts={"reason": TYPE_BASE + each.reason})
    return found

"""Which elements `topk` and `bottomk` keep."""

from collections.abc import Callable

import numpy as np

from luna_serving.engines.promql.series import Bools, Floats, Ints


def clear_ranks(keys: Floats, present: Bools, counts: Ints) -> tuple[Bools, Bools]:
    """Which keys are among the largest ones of their step, where no tie leaves it open.

    Args:
        keys: float64 [elements, steps].
        present: bool [elements, steps].
        counts: int64 [steps]: how many to keep.

    Returns:
        bool [elements, steps], and bool [steps]: where ties or NaN need `ranked`.
    """
    number = len(keys)
    available = present.sum(axis=0)
    # Absent elements and NaN sort last.
    table = np.where(present & ~np.isnan(keys), -keys, np.nan)
    order = np.argsort(table, axis=0, kind="stable")
    ordered = np.take_along_axis(table, order, axis=0)
    steps = np.arange(keys.shape[1])
    last = ordered[np.clip(counts - 1, 0, number - 1), steps]
    following = ordered[np.clip(counts, 0, number - 1), steps]
    choice = (counts > 0) & (counts < available)
    kept = np.zeros_like(present)
    np.put_along_axis(kept, order, np.arange(number)[:, np.newaxis] < counts, axis=0)
    kept = np.where(choice, kept & present, present & (counts > 0))
    return kept, choice & ((last == following) | np.isnan(last))


def ranked(keys: Floats, count: int) -> Ints:
    """The indices of the `count` largest keys, best first; NaN is worst.

    Where keys tie for the last place, those that Prometheus' heap would keep are kept.

    Args:
        keys: float64 [elements]: the values for `topk`, their negatives for `bottomk`.
        count: how many.
    """
    if count < 1 or not len(keys):
        return np.empty(0, dtype=np.int64)
    # NaN sorts last in ascending order of the negated keys; stable, so that ties keep their order.
    order = np.argsort(-keys, kind="stable")
    if count >= len(keys):
        return order
    last, next_one = keys[order[count - 1]], keys[order[count]]
    if last != next_one and not (np.isnan(last) and np.isnan(next_one)):
        return order[:count]
    kept = _heap(keys.tolist(), count)
    return kept[np.argsort(-keys[kept], kind="stable")]


def _heap(keys: list[float], count: int) -> Ints:
    """The indices that a heap of `count` elements holds after all keys passed, moved as Go's container/heap does."""
    heap: list[int] = []

    def less(a: int, b: int) -> bool:
        return keys[a] != keys[a] or keys[a] < keys[b]

    for index, key in enumerate(keys):
        if len(heap) < count:
            heap.append(index)
            _up(heap, less)
        elif keys[heap[0]] < key or (keys[heap[0]] != keys[heap[0]] and key == key):
            heap[0] = index
            _down(heap, less)
    return np.array(heap, dtype=np.int64)


def _up(heap: list[int], less: Callable[[int, int], bool]) -> None:
    at = len(heap) - 1
    while at > 0:
        parent = (at - 1) // 2
        if not less(heap[at], heap[parent]):
            return
        heap[at], heap[parent] = heap[parent], heap[at]
        at = parent


def _down(heap: list[int], less: Callable[[int, int], bool]) -> None:
    at = 0
    while (child := 2 * at + 1) < len(heap):
        if child + 1 < len(heap) and less(heap[child + 1], heap[child]):
            child += 1
        if not less(heap[child], heap[at]):
            return
        heap[at], heap[child] = heap[child], heap[at]
        at = child

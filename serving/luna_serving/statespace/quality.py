"""What the numbers of an answer are worth. Pure NumPy."""

from collections.abc import Sequence

from luna_serving.statespace.results import SeriesResult


def warnings_of(results: Sequence[SeriesResult]) -> tuple[str, ...]:
    """What the caller should know of the numbers."""
    return overflows([result.finite for result in results])


def overflows(finite: Sequence[bool]) -> tuple[str, ...]:
    """A warning where some series have no finite answer."""
    bad = sum(not each for each in finite)
    return (f"{bad} of {len(finite)} series overflowed float64",) if bad else ()

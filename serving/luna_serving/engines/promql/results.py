"""What a query answers."""

from collections.abc import Mapping
from dataclasses import dataclass

from luna_serving.engines.promql.series import Floats, Series


@dataclass(frozen=True, slots=True)
class Vector:
    """An instant vector.

    Attributes:
        at_ms: the time of evaluation; it is the timestamp of each value.
        labels: per element; with `__name__` where it is kept.
        values: float64 [elements]. In the order of `labels`, which only `sort`, `topk` and their like determine.
        warnings: what may be wrong with the answer, as Prometheus words it, with a position.
        infos: the same, less severe.
    """

    at_ms: int
    labels: tuple[Mapping[str, str], ...]
    values: Floats
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Matrix:
    """Series over a range, or the samples of a range selector. Sorted by labels; no empty series.

    Attributes:
        series: in a range query, timestamps are the steps at which a value exists.
        warnings: as in `Vector`.
        infos: as in `Vector`.
    """

    series: tuple[Series, ...]
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number at a time."""

    at_ms: int
    value: float
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class String:
    """A text at a time."""

    at_ms: int
    value: str
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()


InstantResult = Vector | Matrix | Scalar | String

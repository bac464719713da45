"""What can be estimated of a model, by the names of its wire fields.

    parameters = free_parameters("structural", fields, ["obs_var", "level.var", "ar.coefficients"])
    theta = parameters.start([y1, y2])         a starting point from data, in R^size
    theta = parameters.unconstrain(fields)     the fields' own values as a starting point
    fields = parameters.constrain(theta)       the wire's fields with the estimates in them; build with KINDS[kind]
    parameters.values(theta)                   the same estimates as one vector, in the order of `names`

A name is a field, or a path to it with dots: "obs_var", "level.var", "freq_seasonal.0.var". A list or a matrix is
named as a whole ("ar" is all of ar) and becomes one number each in `names` ("ar.0", "ar.1"; a covariance's lower
triangle "obs_cov.1.0"). Nothing else changes between the fields that `constrain` makes: neither shapes nor the number
of shocks, so a fit compiles once. A variance of zero is theta zero, where the gradient vanishes: no place to start.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.kinds.estimable import Estimable, estimable
from luna_serving.engines.statespace.kinds.starting import starting_values
from luna_serving.engines.statespace.kinds.transforms import CONSTRAINTS

Floats = NDArray[np.float64]
Fields = Mapping[str, Any]


class NotEstimable(ValueError):
    """A name that no parameter of this model has. `index` is its place among the names."""

    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index
        self.message = message


@dataclass(frozen=True, slots=True)
class Parameters:
    """Some fields of one model, to be estimated together."""

    kind: str
    fields: Fields
    """The model's wire fields; what is not free keeps its value here."""
    free: tuple[Estimable, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """One a number."""
        return tuple(name for each in self.free for name in each.names)

    @property
    def size(self) -> int:
        """How many numbers are estimated."""
        return len(self.names)

    def start(self, series: Sequence[Floats]) -> Floats:
        """A rough guess from series [T] or [T, m] (NaN missing), as theta [size]; good enough to climb from."""
        return self.theta(_joined(starting_values(self.kind, self.fields, self.free, series)))

    def constrain(self, theta: Floats) -> dict[str, Any]:
        """The wire's fields at theta [size]."""
        return self.with_values(self.values(theta))

    def unconstrain(self, fields: Fields) -> Floats:
        """Theta [size] of fields such as `constrain` makes; values on a bound are brought just inside."""
        return self.theta(self.read(fields))

    def values(self, theta: Floats) -> Floats:
        """The estimates [size] at theta [size], in the order of `names`."""
        return _joined(CONSTRAINTS[each.constraint].values(part) for each, part in self._parts(theta))

    def theta(self, values: Floats) -> Floats:
        """Theta [size] of estimates [size]."""
        return _joined(CONSTRAINTS[each.constraint].theta(part) for each, part in self._parts(values))

    def read(self, fields: Fields) -> Floats:
        """The numbers [size] that fields hold."""
        return _joined(each.read(fields) for each in self.free)

    def with_values(self, values: Floats) -> dict[str, Any]:
        """The wire's fields with estimates [size] in them; what is not estimated is shared, not copied."""
        fields = dict(self.fields)
        for each, part in self._parts(values):
            each.write(fields, part)
        return fields

    def _parts(self, numbers: Floats) -> Iterator[tuple[Estimable, Floats]]:
        ends = np.cumsum([0, *(len(each.names) for each in self.free)])
        array = np.asarray(numbers, dtype=np.float64)
        return ((each, array[a:b]) for each, (a, b) in zip(self.free, pairwise(ends), strict=True))


def free_parameters(kind: str, fields: Fields, names: Sequence[str]) -> Parameters:
    """The named parameters of a model.

    Args:
        kind: a key of `KINDS`.
        fields: its wire fields, from which the model can be built (without `initial`, or with the wire's words for it).
        names: at least one; see this module's docstring.

    Raises:
        NotEstimable: a name is none of the model's, or is there twice.
    """
    known = estimable(kind, fields)
    for index, name in enumerate(names):
        if name not in known:
            raise NotEstimable(index, f"is no parameter of this model; it has {', '.join(known)}")
        if name in names[:index]:
            raise NotEstimable(index, "is named twice")
    return Parameters(kind, fields, tuple(known[name] for name in names))


def _joined(parts: Iterable[Floats]) -> Floats:
    whole = list(parts)
    return np.concatenate(whole) if whole else np.zeros(0)

"""Which wire fields of a model are parameters, and what binds each. Pure data."""

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.kinds.transforms import lower_triangle, symmetric

Floats = NDArray[np.float64]
Fields = Mapping[str, Any]
Bound = Literal["free", "variance", "unit_interval", "period", "stationary", "invertible", "covariance"]
"""A key of `transforms.CONSTRAINTS`."""


@dataclass(frozen=True, slots=True)
class Estimable:
    """One field that can be estimated, as a whole."""

    path: tuple[str | int, ...]
    """Keys and indices from the model's fields to this one."""
    constraint: Bound
    shape: tuple[int, ...] = ()
    diagonal: bool = False
    """A covariance of which only the diagonal is estimated, as variances."""
    absent: float = 0.0
    """What the field is where it is not written."""

    @property
    def name(self) -> str:
        """The path with dots."""
        return ".".join(map(str, self.path))

    @property
    def names(self) -> tuple[str, ...]:
        """One a number: those of a covariance's lower triangle, of a matrix by rows."""
        places: Iterator[tuple[int, ...]] = np.ndindex(self.shape)
        if self.diagonal:
            places = ((i, i) for i in range(self.shape[0]))
        elif self.constraint == "covariance":
            places = ((i, j) for i in range(self.shape[0]) for j in range(i + 1))
        return tuple(".".join(map(str, (self.name, *place))) for place in places)

    def read(self, fields: Fields) -> Floats:
        """The numbers that fields hold, one per name."""
        value: Any = fields
        for step in self.path:
            value = value.get(step) if isinstance(value, Mapping) else value[step]
            if value is None:
                return self.flat(np.full(self.shape, self.absent))
        array = np.asarray(value, dtype=np.float64)
        # ARIMA's lists may be left out while their orders are given.
        return self.flat(array if array.size else np.full(self.shape, self.absent))

    def flat(self, value: Floats) -> Floats:
        """A value of this one's shape as one number a name."""
        if self.diagonal:
            return np.diagonal(value).copy()
        return lower_triangle(value) if self.constraint == "covariance" else value.reshape(-1)

    def write(self, fields: dict[str, Any], numbers: Floats) -> None:
        """Put numbers, one a name, in fields; what stood there is left alone in its own place."""
        place: Any = fields
        for step in self.path[:-1]:
            place[step] = copy(place[step])
            place = place[step]
        place[self.path[-1]] = self._shaped(numbers)

    def _shaped(self, numbers: Floats) -> Any:  # noqa: ANN401  JSON: a number, a list or rows
        if self.diagonal:
            return np.diag(numbers).tolist()
        if self.constraint == "covariance":
            return symmetric(numbers).tolist()
        return numbers.reshape(self.shape).tolist()


SIMPLE: Final[Mapping[str, tuple[str, ...]]] = {
    "local_level": ("obs_var", "level_var"),
    "local_linear_trend": ("obs_var", "level_var", "trend_var"),
    "constant_velocity": ("obs_var", "accel_var"),
    "constant_acceleration": ("obs_var", "accel_var"),
}


def estimable(kind: str, fields: Fields) -> dict[str, Estimable]:
    """The parameters of a model of that kind with those fields, by name.

    A component's "var" is one even where the component is written without it, and counts as zero there.
    """
    match kind:
        case "structural":
            found = list(_structural(fields))
        case "arima":
            found = list(_arima(fields))
        case "state_space":
            found = list(_state_space(fields))
        case _:
            found = [Estimable((name,), "variance") for name in SIMPLE[kind]]
    return {each.name: each for each in found}


def _structural(fields: Fields) -> Iterator[Estimable]:
    yield Estimable(("obs_var",), "variance")
    for component in ("level", "trend", "seasonal", "cycle"):
        if fields.get(component) is not None:
            yield Estimable((component, "var"), "variance")
    for i in range(len(fields.get("freq_seasonal", ()))):
        yield Estimable(("freq_seasonal", i, "var"), "variance")
    if fields.get("cycle") is not None:
        yield Estimable(("cycle", "damping"), "unit_interval", absent=1.0)
        yield Estimable(("cycle", "period"), "period")
    if (ar := fields.get("ar")) is not None:
        yield Estimable(("ar", "coefficients"), "stationary", (len(ar["coefficients"]),))
        yield Estimable(("ar", "var"), "variance")
    yield from _regression(fields)


def _regression(fields: Fields) -> Iterator[Estimable]:
    """The coefficients are states: only their walks are estimated."""
    if (regression := fields.get("regression")) is not None:
        yield Estimable(("regression", "var"), "variance", np.shape(regression.get("var") or 0.0))


def _arima(fields: Fields) -> Iterator[Estimable]:
    p, _, q = fields["order"]
    seasonal_p, _, seasonal_q, _ = fields.get("seasonal_order", (0, 0, 0, 0))
    lags: tuple[tuple[str, Bound, int], ...] = (
        ("ar", "stationary", p),
        ("ma", "invertible", q),
        ("seasonal_ar", "stationary", seasonal_p),
        ("seasonal_ma", "invertible", seasonal_q),
    )
    yield from (Estimable((name,), constraint, (count,)) for name, constraint, count in lags if count)
    yield Estimable(("intercept",), "free")
    yield Estimable(("var",), "variance")
    yield Estimable(("obs_var",), "variance")
    yield from _regression(fields)


def _state_space(fields: Fields) -> Iterator[Estimable]:
    """Covariances, and what is free, as far as they are written and do not vary in time."""
    for name in ("obs_cov", "state_cov"):
        matrix = np.asarray(fields[name], dtype=np.float64)
        if matrix.ndim == 0:
            yield Estimable((name,), "variance")
        elif matrix.ndim == 2:
            diagonal = not (matrix - np.diag(np.diagonal(matrix))).any()
            yield Estimable((name,), "variance" if diagonal else "covariance", matrix.shape, diagonal)
    for name, rank in (("transition", 2), ("design", 2), ("obs_intercept", 1), ("state_intercept", 1)):
        if fields.get(name) is not None and np.ndim(fields[name]) <= rank:
            yield Estimable((name,), "free", np.shape(fields[name]))

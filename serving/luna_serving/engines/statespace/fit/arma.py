"""Lanes of ARIMA models and their derivatives in closed form, for many points at once.

A model of the kind `arima` costs half a millisecond to build and to check, and a gradient by differences needs two a
parameter. Here only the numbers that depend on parameters are worked out: the lag polynomials' product, the shocks'
covariance and the stationary start of the ARMA part (Durbin & Koopman 2012, eq. 5.37), each with its derivative.

Without missing observations or measurement noise the differences are taken off the series first. The likelihood is the
same, for the exact diffuse start's F∞ is 1 in each of the d + D·s periods that it takes (Durbin & Koopman 2012, section
5.2), and the model has only the states of the ARMA part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.fit.layout import Lane, lane
from luna_serving.engines.statespace.fit.search_space import SearchSpace
from luna_serving.engines.statespace.kinds.arima import arima
from luna_serving.engines.statespace.model.initial import Blocks, Stationary
from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.model.observations import LOG_2PI

Floats = NDArray[np.float64]
Places = NDArray[np.int_]

NAMES: Final = ("ar", "ma", "seasonal_ar", "seasonal_ma", "intercept", "var", "obs_var")
ORDERS: Final = {"order", "seasonal_order"}
# A root r has 2^j powers behind it after j doublings: these reach 1 - r = 1e-10, beyond which no model is stationary.
DOUBLINGS: Final = 40


@dataclass(frozen=True, slots=True, eq=False)
class Arma:
    """The ARIMA models of one fit, for series that are differenced or not."""

    orders: tuple[int, int, int, int, int]
    """p, q, P, Q and the period s."""
    lags: tuple[int, int]
    """Regular and seasonal differences that the series has gone through: (0, 0) where they are in the state."""
    base: Floats  # [f]
    """A lane's numbers; those at `places` are replaced."""
    form: Lane
    """A lane with the right form; its numbers are not used."""
    places: Mapping[str, Places]
    fixed: Floats
    """All the kind's numbers in the order of NAMES; those at `free` are replaced."""
    free: Places
    """The places of the estimated numbers among them [K]."""

    def series(self, y: Floats) -> Floats:
        """What the lanes observe [T - differences, 1]."""
        regular, seasonal = self.lags
        for lag in (1,) * regular + (self.orders[4],) * seasonal:
            y = y[lag:] - y[:-lag]
        return y

    @property
    def differences(self) -> int:
        """Observations that the differences use up."""
        return self.lags[0] + self.lags[1] * self.orders[4]

    def lane(self, flat: Floats, observed: Floats) -> Lane:
        """One lane of the series `observed`, which has gone through `series`."""
        lost = self.differences
        return replace(self.form, flat=flat, table=observed, shift=-lost * LOG_2PI / 2, resolved=lost)

    def noisy(self, values: Floats) -> NDArray[np.bool_]:
        """Where a variance is above zero [b]: without any there is no model."""
        whole = np.repeat(self.fixed[None], len(values), axis=0)
        whole[:, self.free] = values
        return np.asarray((whole[:, -2:] > 0).any(axis=1), dtype=np.bool_)

    def flats(self, values: Floats, jacobian: Floats) -> tuple[Floats, Floats]:
        """A lane's numbers [b, f] for values [b, K], and their derivatives [b, F, f] by the values' own [b, K, F].

        Not finite where the start overflows.
        """
        count, directions = len(values), jacobian.shape[2]
        whole = np.repeat(self.fixed[None], count, axis=0)
        whole[:, self.free] = values
        moved = np.zeros((count, directions, len(self.fixed)))
        moved[:, :, self.free] = jacobian.swapaxes(1, 2)
        p, q, seasonal_p, seasonal_q, s = self.orders
        ends = np.cumsum([0, p, q, seasonal_p, seasonal_q, 3]).tolist()
        parts, moves = ([each[..., a:b] for a, b in pairwise(ends)] for each in (whole, moved))
        ar, ar_moved = _product(parts[0], parts[2], moves[0], moves[2], s, -1.0)
        ma, ma_moved = _product(parts[1], parts[3], moves[1], moves[3], s, 1.0)
        (intercept, var, obs_var), (intercept_moved, var_moved, obs_var_moved) = (
            np.moveaxis(each[4], -1, 0) for each in (parts, moves)
        )
        k = len(self.places["mean"])
        lags, lags_moved = _padded(-ar, k), _padded(-ar_moved, k)
        shape, shape_moved = (np.concatenate([_first(each), each], axis=-1) for each in (ma, ma_moved))
        shape[:, 0], shape_moved[..., 0] = 1.0, 0.0
        shape, shape_moved = _padded(shape, k), _padded(shape_moved, k)
        root = var[:, None, None]
        noise = root * shape[:, :, None] * shape[:, None, :]
        across = shape_moved[..., :, None] * shape[:, None, None, :]
        noise_moved = root[:, None] * (across + across.swapaxes(-1, -2)) + (
            var_moved[..., None, None] * (shape[:, :, None] * shape[:, None, :])[:, None]
        )
        transition = np.zeros((count, k, k)) + np.eye(k, k=1)
        transition[:, :, 0] += lags
        powers = _powers(transition)
        cov = _summed(powers, noise)
        turned = lags_moved[..., :, None] * (transition @ cov)[:, None, None, :, 0]
        cov_moved = _summed(powers, noise_moved + turned + turned.swapaxes(-1, -2))
        left = 1 - lags.sum(axis=-1)
        level = intercept / left
        level_moved = (intercept_moved + level[:, None] * lags_moved.sum(axis=-1)) / left[:, None]
        mean = _backwards(lags * level[:, None])
        mean[:, 0] += intercept
        mean_moved = _backwards(lags_moved * level[:, None, None] + lags[:, None] * level_moved[..., None])
        mean_moved[..., 0] += intercept_moved
        flat = np.repeat(self.base[None], count, axis=0)
        flat_moved = np.zeros((count, directions, len(self.base)))
        for name, here, there in (
            ("mean", mean, mean_moved),
            ("cov", cov, cov_moved),
            ("obs_var", obs_var, obs_var_moved),
            ("transition", lags, lags_moved),
            ("state_intercept", intercept, intercept_moved),
            ("state_cov", noise, noise_moved),
        ):
            flat[..., self.places[name]] = here
            flat_moved[..., self.places[name]] = there
        return flat, flat_moved


def arma_in(space: SearchSpace, guess: Model, values: Floats, *, gaps: bool) -> Arma | None:
    """The closed form of the models at the values [K] and about them, if they have one.

    Args:
        space: the estimated parameters.
        guess: the model at `values`.
        values: the wire's numbers.
        gaps: whether observations are missing, so that the differences stay in the state.
    """
    fields = {name: field for name, field in space.fields(values).items() if field is not None}
    if space.parameters.kind != "arima" or not set(fields) <= {*NAMES, *ORDERS, "initial", "kind"}:
        return None
    p, d, q = (int(order) for order in fields["order"])
    seasonal_p, seasonal_d, seasonal_q, s = (int(order) for order in fields.get("seasonal_order", (0, 0, 0, 0)))
    differences = d + seasonal_d * s
    k = guess.states - differences
    initial = fields.get("initial")
    if initial is not None and (differences or initial["kind"] != "stationary"):
        return None
    if not isinstance(guess.initial, Blocks | Stationary):
        return None
    sizes = {"ar": p, "ma": q, "seasonal_ar": seasonal_p, "seasonal_ma": seasonal_q}
    numbers = {name: _numbers(fields.get(name), sizes.get(name, 1)) for name in NAMES}
    starts = dict(zip(NAMES, np.cumsum([0, *(len(each) for each in numbers.values())]), strict=False))
    free = np.concatenate([starts[each.name] + np.arange(len(each.names)) for each in space.parameters.free])
    noisy = "obs_var" in {each.name for each in space.parameters.free} or numbers["obs_var"].any()
    differenced = differences > 0 and not gaps and not noisy
    model = guess
    if differenced:
        model = arima(
            **{name: fields[name] for name in NAMES if name in fields},
            order=(p, 0, q),
            seasonal_order=(seasonal_p, 0, seasonal_q, s),
        )
    form = lane(model, np.zeros((1, 1)))
    return Arma(
        orders=(p, q, seasonal_p, seasonal_q, s),
        lags=(d, seasonal_d) if differenced else (0, 0),
        base=form.flat,
        form=form,
        places=_places(form.form.states, model.states - k, k),
        fixed=np.concatenate(list(numbers.values())),
        free=free,
    )


def _numbers(field: Any, size: int) -> Floats:  # noqa: ANN401  a wire field: a number, a list or nothing
    given = np.atleast_1d(np.asarray(0.0 if field is None else field, dtype=np.float64))
    return given if len(given) == size else np.zeros(size)


def _places(states: int, first: int, k: int) -> dict[str, Places]:
    """The places of a lane's numbers that depend on parameters (`layout.lane`), of k ARMA states from `first` on."""
    names = ("mean", "cov", "diffuse", "design", "obs_var", "transition", "state_intercept", "state_cov")
    sizes = (states, states**2, states**2, states, 1, states**2, states, states**2)
    start = dict(zip(names, np.cumsum([0, *sizes]), strict=False))
    own = first + np.arange(k)
    square = own[:, None] * states + own
    return {
        "mean": start["mean"] + own,
        "cov": start["cov"] + square,
        "obs_var": start["obs_var"],
        "transition": start["transition"] + own * states + first,
        "state_intercept": start["state_intercept"] + first,
        "state_cov": start["state_cov"] + square,
    }


def _product(
    regular: Floats, seasonal: Floats, regular_moved: Floats, seasonal_moved: Floats, s: int, sign: float
) -> tuple[Floats, Floats]:
    """(1 + sign a L ...)(1 + sign b L^s ...) from lag 1 on [b, lags], and its derivative [b, F, lags]."""
    if not seasonal.shape[-1]:
        return sign * regular, sign * regular_moved
    one, other, one_moved, other_moved = (
        np.concatenate([_first(each), sign * each], axis=-1)
        for each in (regular, seasonal, regular_moved, seasonal_moved)
    )
    one[..., 0] = other[..., 0] = 1.0
    moved = _convolved(one_moved, other[:, None], s) + _convolved(one[:, None], other_moved, s)
    return _convolved(one, other, s)[..., 1:], moved[..., 1:]


def _convolved(one: Floats, other: Floats, s: int) -> Floats:
    count, lags = one.shape[-1], other.shape[-1]
    found = np.zeros((*np.broadcast_shapes(one.shape[:-1], other.shape[:-1]), count + s * (lags - 1)))
    for lag in range(lags):
        found[..., lag * s : lag * s + count] += one * other[..., lag : lag + 1]
    return found


def _first(array: Floats) -> Floats:
    return np.zeros((*array.shape[:-1], 1))


def _padded(array: Floats, size: int) -> Floats:
    if array.shape[-1] == size:
        return array
    padded = np.zeros((*array.shape[:-1], size))
    padded[..., : array.shape[-1]] = array
    return padded


def _backwards(array: Floats) -> Floats:
    """From each element on, the sum of the rest [..., k]."""
    return np.cumsum(array[..., ::-1], axis=-1)[..., ::-1].copy()


def _powers(transition: Floats) -> list[Floats]:
    """T, T², T⁴, ... [b, k, k] until nothing is left of them."""
    powers = [transition]
    with np.errstate(over="ignore", invalid="ignore"):
        while len(powers) < DOUBLINGS and np.abs(powers[-1]).max() > 1e-18:
            powers.append(powers[-1] @ powers[-1])
    return powers


def _summed(powers: Sequence[Floats], noise: Floats) -> Floats:
    """The sum of T^i N T^i' over all i, by doubling (Smith 1968); N [b, ..., k, k]."""
    total = noise
    with np.errstate(over="ignore", invalid="ignore"):
        for power in powers:
            each = power if total.ndim == power.ndim else power[:, None]
            total = total + each @ total @ each.swapaxes(-1, -2)
    return (total + total.swapaxes(-1, -2)) / 2

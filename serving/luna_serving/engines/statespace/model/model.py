"""A linear Gaussian state-space model as checked NumPy matrices, in the words of statsmodels.

    y[t]       = obs_intercept + design · state[t] + e,                    e ~ N(0, obs_cov)
    state[t+1] = state_intercept + transition · state[t] + selection · u,  u ~ N(0, state_cov)

m things are observed of n states that r shocks move. Each matrix may vary in time: a leading axis of length T;
row t of a transition maps t to t + 1. In the letters of Durbin & Koopman (2012, section 3.1) and of the engine:
d obs_intercept, Z design, H obs_cov, c state_intercept, T transition, R selection, Q state_cov.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from luna_serving.engines.statespace.model.checks import ModelError, covariances, fitting
from luna_serving.engines.statespace.model.initial import Diffuse, Initial, Known, Start, start
from luna_serving.engines.statespace.model.memo import once_per_model

Floats = NDArray[np.float64]
OMITTED: Final[Floats] = np.empty(0)
"""A matrix that the caller leaves to its default."""
# Larger models would return covariances too large to send; the arithmetic could do more.
MAX_STATES: Final = 64
MAX_OBSERVED: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """One model, checked on construction; `ModelError` points to the field that is wrong.

    Args, with the shapes of a model that does not vary in time:
        transition: T [n, n].
        design: Z [m, n].
        obs_cov: H [m, m], symmetric and positive semi-definite.
        state_cov: Q [r, r], likewise.
        selection: R [n, r]; omitted, the identity, with r = n.
        obs_intercept: d [m]; omitted, zero.
        state_intercept: c [n]; omitted, zero.
        initial: where the state starts.
        state_names: one name per state, for people; may be empty.
        varies_by: a pointer to the field that the matrices varying in time were made from; "" where a caller gave them.
        unknown_periods: those whose design is not known: nothing may be observed in them, and what is forecast of an
            observation there means nothing.
    """

    transition: Floats
    design: Floats
    obs_cov: Floats
    state_cov: Floats
    selection: Floats = field(default_factory=lambda: OMITTED)
    obs_intercept: Floats = field(default_factory=lambda: OMITTED)
    state_intercept: Floats = field(default_factory=lambda: OMITTED)
    initial: Initial = field(default_factory=Diffuse)
    state_names: tuple[str, ...] = ()
    varies_by: str = ""
    transition_rest: tuple[Floats, ...] = ()
    """What rounding took from `transition` [n, n], and what rounding took from that, where a kind knows more digits."""
    unknown_periods: tuple[int, ...] = ()
    states: int = field(init=False)
    observed: int = field(init=False)
    shocks: int = field(init=False)
    length: int | None = field(init=False)
    """Periods that the time-varying matrices cover; None where nothing varies."""
    start: Start = field(init=False, repr=False)
    memo: dict[Hashable, object] = field(init=False, repr=False, default_factory=dict)
    """See `memo.once_per_model`."""

    def __post_init__(self) -> None:
        m, n = _sizes(self.design)
        selection = np.eye(n) if self.selection is OMITTED else self.selection
        r = np.shape(np.asarray(selection))[-1]
        if r > MAX_STATES:
            raise ModelError("/selection", f"names {r} shocks; at most {MAX_STATES} are taken")
        checked = {
            "transition": fitting("/transition", self.transition, (n, n)),
            "design": fitting("/design", self.design, (m, n)),
            "obs_cov": covariances("/obs_cov", self.obs_cov, m),
            "state_cov": covariances("/state_cov", self.state_cov, r),
            "selection": fitting("/selection", selection, (n, r)),
            "obs_intercept": fitting("/obs_intercept", _or_zeros(self.obs_intercept, m), (m,)),
            "state_intercept": fitting("/state_intercept", _or_zeros(self.state_intercept, n), (n,)),
        }
        length = _length(checked, {"obs_intercept": 1, "state_intercept": 1})
        for name, value in checked.items():
            value.flags.writeable = False
            object.__setattr__(self, name, value)
        for name, number in (("states", n), ("observed", m), ("shocks", r), ("length", length)):
            object.__setattr__(self, name, number)
        if self.state_names and len(self.state_names) != n:
            raise ModelError("/state_names", f"must name all {n} states or none; got {len(self.state_names)}")
        if not isinstance(self.initial, Known) and not checked["obs_cov"].any() and not self.disturbance_cov.any():
            raise ModelError(
                "/obs_cov",
                "must be above zero when every other variance is zero: nothing would explain a deviation",
            )
        first = start(
            self.initial,
            self.transition_at(0),
            _at(self.selection, 0, 2),
            _at(self.state_cov, 0, 2),
            self.state_intercept_at(0),
        )
        object.__setattr__(self, "start", first)

    @property
    def varying(self) -> str:
        """A pointer to what varies in time; "" where nothing does."""
        if self.length is None:
            return ""
        if self.varies_by:
            return self.varies_by
        ranks = {"transition": 2, "design": 2, "obs_cov": 2, "state_cov": 2, "selection": 2}
        ranks |= {"obs_intercept": 1, "state_intercept": 1}
        return next((f"/{name}" for name, rank in ranks.items() if getattr(self, name).ndim > rank), "")

    @property
    def disturbance_cov(self) -> Floats:
        """R Q R' [n, n], or [T, n, n] where R or Q vary; read-only."""
        return _disturbance_cov(self)

    def transition_at(self, t: int) -> Floats:
        """T of period t [n, n]."""
        return _at(self.transition, t, 2)

    def state_intercept_at(self, t: int) -> Floats:
        """C of period t [n]."""
        return _at(self.state_intercept, t, 1)


def over_time(array: Floats, rank: int, first: int, count: int) -> Floats:
    """Rows `first` to `first + count` of a matrix of that rank; one that does not vary is repeated (a view)."""
    if array.ndim == rank:
        return np.broadcast_to(array, (count, *array.shape))
    return array[first : first + count]


def _at(array: Floats, t: int, rank: int) -> Floats:
    return array if array.ndim == rank else array[t]


def _sizes(design: ArrayLike) -> tuple[int, int]:
    """M and n."""
    shape = np.shape(design)
    if len(shape) not in {2, 3} or 0 in shape:
        raise ModelError("/design", f"must have shape [m, n] or [T, m, n]; got {list(shape)}")
    m, n = shape[-2:]
    if n > MAX_STATES:
        raise ModelError("/design", f"names {n} states; at most {MAX_STATES} are taken")
    if m > MAX_OBSERVED:
        raise ModelError("/design", f"names {m} observed elements; at most {MAX_OBSERVED} are taken")
    return m, n


def _or_zeros(value: Floats, size: int) -> Floats:
    return np.zeros(size) if value is OMITTED else value


@once_per_model
def _disturbance_cov(model: Model) -> Floats:
    r = model.selection
    product: Floats = r @ model.state_cov @ np.swapaxes(r, -1, -2)
    cov: Floats = (product + np.swapaxes(product, -1, -2)) / 2
    cov.flags.writeable = False
    return cov


def _length(checked: dict[str, Floats], vectors: dict[str, int]) -> int | None:
    lengths = {name: len(array) for name, array in checked.items() if array.ndim > vectors.get(name, 2)}
    if len(set(lengths.values())) > 1:
        shortest, longest = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
        raise ModelError(
            f"/{shortest}",
            f"covers {lengths[shortest]} periods but {longest} covers {lengths[longest]}: "
            "matrices that vary in time must cover the same",
        )
    return next(iter(lengths.values()), None)

"""Models of one observed series as NumPy matrices: from named parameters to what the filter consumes.

    y[t]       = design · state[t] + e,            e ~ N(0, obs_var)
    state[t+1] = transition · state[t] + u,        u ~ N(0, state_cov)

In the letters of Durbin & Koopman (2012, ch. 3): Z = design, H = obs_var, T = transition, and
Q = state_cov, which here already is selection · Q · selection'.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.statespace.checks import ModelError, covariance, magnitude, matrix, variance, vector
from luna_serving.statespace.initial import Diffuse, Initial, Known, start

# The filter tells a state that is not yet known from rounding at 1e-12 of the larger state (filter.py).
SHORTEST_STEP: Final = 1e-9
LONGEST_STEP: Final = 1e9


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """One model, checked on construction; `ModelError` points to the field that is wrong.

    `packed` is the model as one flat row (`PACKED`): a batch of models is then one `np.array` of rows.
    """

    transition: NDArray[np.float64]
    design: NDArray[np.float64]
    obs_var: float
    state_cov: NDArray[np.float64]
    initial: Initial = field(default_factory=Diffuse)
    states: int = field(init=False)
    packed: NDArray[np.float64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        n = np.size(self.design)
        if n == 0:
            raise ModelError("/design", "must name at least one state")
        design = vector("/design", self.design, n)
        transition = matrix("/transition", self.transition, n)
        obs_var = variance("/obs_var", self.obs_var)
        state_cov = covariance("/state_cov", self.state_cov, n)
        if obs_var == 0 and not state_cov.any() and not isinstance(self.initial, Known):
            raise ModelError(
                "/obs_var",
                "must be above zero when every other variance is zero: nothing would explain a deviation",
            )
        first = start(self.initial, transition, state_cov)
        parts = (transition, design, obs_var, state_cov, first.mean, first.cov, first.diffuse, first.rank)
        packed = np.concatenate([np.ravel(part) for part in parts])
        packed.flags.writeable = False
        for name, value in (
            ("transition", transition),
            ("design", design),
            ("obs_var", obs_var),
            ("state_cov", state_cov),
            ("states", n),
            ("packed", packed),
        ):
            object.__setattr__(self, name, value)


def local_level(*, obs_var: float, level_var: float, initial: Initial | None = None) -> Model:
    """A level that walks, seen through noise (Durbin & Koopman 2012, eq. 2.3). State: level."""
    return Model(
        transition=np.eye(1),
        design=np.ones(1),
        obs_var=variance("/obs_var", obs_var),
        state_cov=np.full((1, 1), variance("/level_var", level_var)),
        initial=initial or Diffuse(),
    )


def local_linear_trend(*, obs_var: float, level_var: float, trend_var: float, initial: Initial | None = None) -> Model:
    """A level with a slope, both of which walk (Durbin & Koopman 2012, eq. 3.2). State: level, trend."""
    return Model(
        transition=np.array([[1.0, 1.0], [0.0, 1.0]]),
        design=np.array([1.0, 0.0]),
        obs_var=variance("/obs_var", obs_var),
        state_cov=np.diag([variance("/level_var", level_var), variance("/trend_var", trend_var)]),
        initial=initial or Diffuse(),
    )


def constant_velocity(*, dt: float, obs_var: float, accel_var: float, initial: Initial | None = None) -> Model:
    """A point whose velocity is disturbed by random accelerations. State: position, velocity.

    Discretisation: the acceleration is constant within a step and independent between steps, so that
    state_cov = accel_var · g g' with g = (dt²/2, dt). Bar-Shalom, Li & Kirubarajan (2001), "Estimation with
    Applications to Tracking and Navigation", section 6.3.2, call it the discrete white noise acceleration
    model; filterpy's `Q_discrete_white_noise(2, dt, accel_var)` is the same matrix. Not taken: continuous
    white noise sampled at dt (their 6.2.2, filterpy's `Q_continuous_white_noise`), whose entries are dt³/3,
    dt²/2 and dt; there the variance is a spectral density with another unit.
    `dt` is in the caller's unit of time; `accel_var` in (observation's unit / time²)².
    """
    step = magnitude("/dt", dt)
    if not SHORTEST_STEP <= step <= LONGEST_STEP:
        raise ModelError(
            "/dt",
            f"must lie between {SHORTEST_STEP:g} and {LONGEST_STEP:g}; got {step:g}: "
            "choose a unit of time near the step",
        )
    shock = np.array([step**2 / 2, step])
    accel = variance("/accel_var", accel_var)
    # Here, where the field has a name: the product would be refused later as "/state_cov".
    magnitude("/accel_var", accel * float(shock.max()) ** 2)
    return Model(
        transition=np.array([[1.0, step], [0.0, 1.0]]),
        design=np.array([1.0, 0.0]),
        obs_var=variance("/obs_var", obs_var),
        state_cov=accel * np.outer(shock, shock),
        initial=initial or Diffuse(),
    )


# A wire "kind" to what builds it; each takes the wire's field names as keywords.
KINDS: Final[Mapping[str, Callable[..., Model]]] = MappingProxyType(
    {
        "local_level": local_level,
        "local_linear_trend": local_linear_trend,
        "constant_velocity": constant_velocity,
    }
)

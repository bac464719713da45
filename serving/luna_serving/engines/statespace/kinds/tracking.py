"""Things that move: position, velocity, acceleration, at regular or irregular times.

`dt` is one number, or a list of which dt[t] is the time from observation t to observation t + 1. A step of zero in a
list joins two observations of one instant, as two sensors make them: nothing moves between them. A list of K steps
joins K + 1 observations, so a series of T points needs at least T - 1 of them, and a forecast of h steps T + h - 1.
The model's matrices cover K + 1 periods: the last step is repeated once, for the state that is predicted after the
last observation.
"""

from math import factorial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from luna_serving.engines.statespace.kinds.fields import OBS_VAR, pointing_to
from luna_serving.engines.statespace.model.checks import ModelError, magnitude, variance
from luna_serving.engines.statespace.model.initial import Diffuse, Initial
from luna_serving.engines.statespace.model.model import Model

Floats = NDArray[np.float64]
# The filter separates a state that is not yet known from rounding at 1e-12 of the larger state.
SHORTEST_STEP = 1e-9
LONGEST_STEP = 1e9


def constant_velocity(*, dt: ArrayLike, obs_var: float, accel_var: float, initial: Initial | None = None) -> Model:
    """A point whose velocity is disturbed by random accelerations. State: position, velocity.

    Discretisation: the acceleration is constant within a step and independent between steps, so that
    state_cov = accel_var · g g' with g = (dt²/2, dt). Bar-Shalom, Li & Kirubarajan (2001), "Estimation with
    Applications to Tracking and Navigation", section 6.3.2, call it the discrete white noise acceleration
    model; filterpy's `Q_discrete_white_noise(2, dt, accel_var)` is the same matrix. Not taken: continuous
    white noise sampled at dt (their 6.2.2, filterpy's `Q_continuous_white_noise`), whose entries are dt³/3,
    dt²/2 and dt; there the variance is a spectral density with another unit.
    `dt` is in the caller's unit of time; `accel_var` in (observation's unit / time²)².
    """
    steps = _steps(dt)
    return _moving(steps, np.stack([steps**2 / 2, steps], axis=-1), obs_var, accel_var, initial)


def constant_acceleration(*, dt: ArrayLike, obs_var: float, accel_var: float, initial: Initial | None = None) -> Model:
    """A point whose acceleration jumps at random. State: position, velocity, acceleration.

    Discretisation: the acceleration's increment is constant within a step and independent between steps (Bar-Shalom,
    Li & Kirubarajan 2001, section 6.3.3, the discrete Wiener process acceleration model), so that
    state_cov = accel_var · g g' with g = (dt²/2, dt, 1); filterpy's `Q_discrete_white_noise(3, dt, accel_var)` is the
    same matrix. `accel_var` is the variance of the increment a step, in (observation's unit / time²)².
    """
    steps = _steps(dt)
    return _moving(steps, np.stack([steps**2 / 2, steps, np.ones_like(steps)], axis=-1), obs_var, accel_var, initial)


def _steps(dt: ArrayLike) -> Floats:
    """The steps [] or, with the last one repeated, [K + 1]."""
    if isinstance(dt, int | float):
        return np.array(_step("/dt", dt))
    try:
        steps = np.array(dt, dtype=np.float64)
    except (TypeError, ValueError) as cause:
        raise ModelError("/dt", "must be a number, or a list of numbers") from cause
    if steps.ndim == 0:
        return np.array(_step("/dt", float(steps)))
    if steps.ndim != 1 or len(steps) == 0:
        raise ModelError("/dt", "must be a number, or a list of at least one: dt[t] from observation t to t + 1")
    # NaN fails every comparison.
    wrong = np.flatnonzero(~((steps == 0) | ((steps >= SHORTEST_STEP) & (steps <= LONGEST_STEP))))
    if len(wrong):
        _step(f"/dt/{wrong[0]}", float(steps[wrong[0]]))
    return np.append(steps, steps[-1])


def _step(pointer: str, dt: float) -> float:
    step = magnitude(pointer, dt)
    if not SHORTEST_STEP <= step <= LONGEST_STEP:
        raise ModelError(
            pointer,
            f"must lie between {SHORTEST_STEP:g} and {LONGEST_STEP:g}; got {step:g}: "
            "choose a unit of time near the step (in a list, 0 joins two observations of one instant)",
        )
    return step


def _moving(steps: Floats, shock: Floats, obs_var: float, accel_var: float, initial: Initial | None) -> Model:
    """The model of as many derivatives as `shock` [..., n] has elements.

    The shock is the one acceleration, selection its effect g: accel_var g g' rounded to float64 is no covariance where
    steps are as unlike as 1e-3 and 1e6.
    """
    n = shock.shape[-1]
    accel = variance("/accel_var", accel_var)
    obs = variance("/obs_var", obs_var)
    # Here, where the field has a name: the product would be refused later as "/state_cov".
    magnitude("/accel_var", accel * float(shock.max()) ** 2)
    variance("/accel_var", accel * float(shock[shock > 0].min(initial=1.0)) ** 2)
    # Nothing happens in no time, the jump of an acceleration included.
    shock = np.where(steps[..., None] == 0, 0.0, shock)
    transition = np.zeros((*steps.shape, n, n))
    for i in range(n):
        for j in range(i, n):
            transition[..., i, j] = steps ** (j - i) / factorial(j - i)
    with pointing_to({**OBS_VAR, "/state_cov": "/accel_var", "/transition": "/dt", "/selection": "/dt"}):
        return Model(
            transition=transition,
            design=np.eye(1, n),
            obs_cov=np.full((1, 1), obs),
            state_cov=np.full((1, 1), accel),
            selection=shock[..., None],
            initial=initial or Diffuse(),
            state_names=("position", "velocity", "acceleration")[:n],
            varies_by="/dt",
        )

"""The kinds of the wire as exact systems, from their words alone: nothing of the engine's own builders is used.

Structural components as Harvey (1989, section 2.3) and statsmodels' `UnobservedComponents` order them, sines and
cosines at full precision; ARIMA from the definition of its differences and Harvey's form of an ARMA process; tracking
from the integrals of a constant acceleration.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import flint

from .matrices import Matrix, Number, identity, matrix, number, precisely, zeros
from .system import System, Words, started

DIFFUSE: Final = {"kind": "diffuse"}
STATIONARY: Final = {"kind": "stationary"}
LONGEST: Final = 300
"""Periods that powers of time are written down for."""
Block = tuple[Matrix, Sequence[Sequence[Number]], list[Number], Sequence[str], Words]
"""Transition, design rows (one, or one a period), a variance a state, names, default start."""


Built = tuple[System, list[tuple[Sequence[int], Words]]]
"""A system without its start, and how each block of its states starts."""


@precisely()
def system_of(words: Words) -> System:
    """The exact system of a model as the wire has it."""
    return started(*built(words))


def built(words: Words) -> Built:
    bare, blocks = KINDS[words["kind"]](words)
    initial = words.get("initial")
    if initial is None:
        return bare, blocks
    if initial["kind"] == "blocks":
        return bare, [(each["states"], each) for each in initial["blocks"]]
    return bare, [(range(bare.states), initial)]


def _structural(words: Words) -> Built:
    blocks: list[Block] = []
    if "level" in words:
        blocks.append(_level(words["level"], words.get("trend")))
    if "seasonal" in words:
        blocks.append(_seasonal(words["seasonal"]))
    blocks += [_waves(i, each) for i, each in enumerate(words.get("freq_seasonal", ()))]
    if "cycle" in words:
        blocks.append(_cycle(words["cycle"]))
    if "ar" in words:
        blocks.append(_autoregression(words["ar"]))
    if "regression" in words:
        blocks.append(_regression(words["regression"]))
    n = sum(len(block[2]) for block in blocks)
    transition, noise = zeros(n, n), zeros(n, n)
    periods = max(len(block[1]) for block in blocks)
    design = [zeros(1, n) for _ in range(periods)]
    starts: list[tuple[Sequence[int], Words]] = []
    first = 0
    for own, rows, variances, _, start in blocks:
        size = len(variances)
        for i in range(size):
            noise[first + i, first + i] = variances[i]
            for j in range(size):
                transition[first + i, first + j] = own[i, j]
        for t in range(periods):
            for j, entry in enumerate(rows[t if len(rows) > 1 else 0]):
                design[t][0, first + j] = entry
        starts.append((range(first, first + size), start))
        first += size
    names = tuple(name for block in blocks for name in block[3])
    obs_var = number(words.get("obs_var", 0.0))
    return System([transition], design, [noise], zeros(n, 1), obs_var, names), starts


def _variance(part: Words) -> Number:
    return number(part.get("var", 0.0))


def _ones(n: int, step: int) -> list[list[Number]]:
    return [[number(1 if j % step == 0 else 0) for j in range(n)]]


def _level(level: Words, trend: Words | None) -> Block:
    if trend is None:
        return identity(1), [[number(1)]], [_variance(level)], ["level"], DIFFUSE
    variances = [_variance(level), _variance(trend)]
    return matrix([[1, 1], [0, 1]]), [[number(1), number(0)]], variances, ["level", "trend"], DIFFUSE


def _seasonal(part: Words) -> Block:
    n = part["period"] - 1
    transition = zeros(n, n)
    for j in range(n):
        transition[0, j] = number(-1)
    for j in range(n - 1):
        transition[j + 1, j] = number(1)
    variances = [_variance(part)] + [number(0)] * (n - 1)
    return (
        transition,
        [[number(int(j == 0)) for j in range(n)]],
        variances,
        [f"seasonal.{j}" for j in range(n)],
        DIFFUSE,
    )


def _rotation(turns: Number) -> tuple[Number, Number]:
    """Cosine and sine of that share of a full turn."""
    angle = 2 * flint.arb.pi() * turns
    return angle.cos().mid(), angle.sin().mid()


def _waves(number_: int, part: Words) -> Block:
    period = part["period"]
    harmonics = part.get("harmonics") or int(period // 2)
    n = 2 * harmonics - (2 * harmonics == period)
    transition = zeros(n, n)
    for j in range(harmonics):
        cos, sin = _rotation(number(j + 1) / number(period))
        transition[2 * j, 2 * j] = cos
        if 2 * j + 1 < n:
            transition[2 * j, 2 * j + 1], transition[2 * j + 1, 2 * j] = sin, -sin
            transition[2 * j + 1, 2 * j + 1] = cos
    names = [f"freq_seasonal.{number_}.{j}" for j in range(n)]
    return transition, _ones(n, 2), [_variance(part)] * n, names, DIFFUSE


def _cycle(part: Words) -> Block:
    damping = part.get("damping") or 1.0
    cos, sin = _rotation(number(1) / number(part["period"]))
    rho = number(damping)
    transition = matrix([[rho * cos, rho * sin], [-rho * sin, rho * cos]]).mid()
    start = DIFFUSE if damping == 1 else STATIONARY
    return transition, _ones(2, 2), [_variance(part)] * 2, ["cycle", "cycle.auxiliary"], start


def _autoregression(part: Words) -> Block:
    n = len(part["coefficients"])
    transition = zeros(n, n)
    for j, coefficient in enumerate(part["coefficients"]):
        transition[0, j] = number(coefficient)
    for j in range(n - 1):
        transition[j + 1, j] = number(1)
    variances = [_variance(part)] + [number(0)] * (n - 1)
    return (
        transition,
        [[number(int(j == 0)) for j in range(n)]],
        variances,
        [f"ar.L{j + 1}" for j in range(n)],
        STATIONARY,
    )


def _regression(part: Words) -> Block:
    k = len(part["regressors"][0])
    var = part.get("var", 0.0)
    variances = [number(each) for each in (var if isinstance(var, list) else [var] * k)]
    rows = [[number(x) for x in row] for row in part["regressors"]]
    return identity(k), rows, variances, [f"beta.{j}" for j in range(k)], DIFFUSE


def _local_level(words: Words) -> Built:
    return _structural({"obs_var": words["obs_var"], "level": {"var": words["level_var"]}})


def _local_linear_trend(words: Words) -> Built:
    level, trend = {"var": words["level_var"]}, {"var": words["trend_var"]}
    return _structural({"obs_var": words["obs_var"], "level": level, "trend": trend})


def _moving(words: Words) -> Built:
    n = 2 if words["kind"] == "constant_velocity" else 3
    steps = words["dt"] if isinstance(words["dt"], list) else [words["dt"]]
    transitions, noises = [], []
    for step in (*steps, steps[-1]) if isinstance(words["dt"], list) else steps:
        dt = number(step)
        powers = [number(1), dt, dt * dt / 2]
        transitions.append(matrix([[powers[j - i] if j >= i else 0 for j in range(n)] for i in range(n)]).mid())
        # Nothing moves between two observations of one instant.
        shock = matrix([[x] for x in (dt * dt / 2, dt, number(int(step != 0)))[:n]]).mid()
        noises.append((shock * shock.transpose() * number(words["accel_var"])).mid())
    names = ("position", "velocity", "acceleration")[:n]
    design = matrix([[1, *[0] * (n - 1)]])
    bare = System(transitions, [design], noises, zeros(n, 1), number(words["obs_var"]), names)
    return bare, [(range(n), DIFFUSE)]


def _arima(words: Words) -> Built:
    p, d, q = words["order"]
    seasonal_p, seasonal_d, seasonal_q, s = words.get("seasonal_order", (0, 0, 0, 0))
    ar = _lags(words.get("ar", ()), words.get("seasonal_ar", ()), s, -1)
    ma = _lags(words.get("ma", ()), words.get("seasonal_ma", ()), s, 1)
    k = max(p + seasonal_p * s, q + seasonal_q * s + 1)
    ends = [d + (i + 1) * s - 1 for i in range(seasonal_d)]
    """The places of the seasonal differences that are s steps old."""
    first = d + seasonal_d * s
    n = first + k
    design = zeros(1, n)
    for place in (*range(d), *ends, first):
        design[0, place] = number(1)
    transition = zeros(n, n)
    for j in range(d):
        for place in (*range(j, d), *ends, first):
            transition[j, place] = number(1)
    for i in range(seasonal_d):
        top = d + i * s
        for place in (*ends[i:], first):
            transition[top, place] = number(1)
        for lag in range(1, s):
            transition[top + lag, top + lag - 1] = number(1)
    for j in range(k):
        if j < len(ar):
            transition[first + j, first] = -ar[j]
        if j + 1 < k:
            transition[first + j, first + j + 1] = number(1)
    shock = zeros(n, 1)
    for j, weight in enumerate([number(1), *ma]):
        shock[first + j, 0] = weight
    noise = (shock * shock.transpose() * number(words["var"])).mid()
    intercept = zeros(n, 1)
    intercept[first, 0] = number(words.get("intercept", 0.0))
    names = tuple(f"arima.{j}" for j in range(n))
    bare = System([transition], [design], [noise], intercept, number(words.get("obs_var", 0.0)), names)
    starts: list[tuple[Sequence[int], Words]] = [(range(first, n), STATIONARY)]
    return _explained(bare, words), [*([(range(first), DIFFUSE)] if first else []), *starts, *_unknown(n, words)]


def _columns(words: Words) -> int:
    """Coefficients of regressors and of powers of time."""
    rows = words.get("regression", {}).get("regressors", [[]])
    return len(rows[0]) + len(words.get("trend", ()))


def _unknown(first: int, words: Words) -> list[tuple[Sequence[int], Words]]:
    k = _columns(words)
    return [(range(first, first + k), DIFFUSE)] if k else []


def _explained(bare: System, words: Words) -> System:
    """With a state for each coefficient, after the others: of regressors, then of powers of time."""
    k, n = _columns(words), bare.states
    if not k:
        return bare
    regression = words.get("regression", {"regressors": [[]] * LONGEST})
    transition, noise, intercept = identity(n + k), zeros(n + k, n + k), zeros(n + k, 1)
    for i in range(n):
        intercept[i, 0] = bare.intercept[i, 0]
        for j in range(n):
            transition[i, j], noise[i, j] = bare.transition[0][i, j], bare.noise[0][i, j]
    var = regression.get("var", 0.0)
    columns = len(regression["regressors"][0])
    for j, each in enumerate(var if isinstance(var, list) else [var] * columns):
        noise[n + j, n + j] = number(each)
    design = []
    for t, row in enumerate(regression["regressors"]):
        powers = [number(t) ** power for power in words.get("trend", ())]
        whole = zeros(1, n + k)
        for j, entry in enumerate([*bare.design[0].entries(), *(number(x) for x in row), *powers]):
            whole[0, j] = entry
        design.append(whole)
    names = (*bare.names, *(f"beta.{j}" for j in range(k)))
    return System([transition], design, [noise], intercept, bare.obs_var, names)


def _lags(regular: Sequence[float], seasonal: Sequence[float], s: int, sign: int) -> list[Number]:
    """Coefficients of lags 1, 2, ... of (1 + sign a L + ...)(1 + sign A L^s + ...)."""
    one = [number(1), *(number(sign) * number(a) for a in regular)]
    whole = [number(0)] * (len(regular) + len(seasonal) * s + 1)
    for j, other in enumerate([number(1), *(number(sign) * number(a) for a in seasonal)]):
        for i, a in enumerate(one):
            whole[i + j * s] += a * other
    return [each.mid() for each in whole[1:]]


def _state_space(words: Words) -> Built:
    """Constant matrices that observe one element."""
    transition, design = matrix(words["transition"]), matrix(words["design"])
    n = transition.nrows()
    selection = matrix(words["selection"]) if "selection" in words else identity(n)
    noise = (selection * matrix(words["state_cov"]) * selection.transpose()).mid()
    intercept = matrix([[x] for x in words.get("state_intercept", [0.0] * n)])
    obs_var = number(words["obs_cov"][0][0])
    names = tuple(f"state.{j}" for j in range(n))
    return System([transition], [design], [noise], intercept, obs_var, names), [(range(n), DIFFUSE)]


KINDS: Final[Mapping[str, Callable[[Any], Built]]] = {
    "local_level": _local_level,
    "local_linear_trend": _local_linear_trend,
    "constant_velocity": _moving,
    "constant_acceleration": _moving,
    "structural": _structural,
    "arima": _arima,
    "state_space": _state_space,
}

"""Random models of each kind: any mix of components, orders and steps, over many orders of size."""

from typing import Any, Final

import numpy as np

from .cases import Case, Draw, Rng, Words, drawn, log_uniform, some_variance

PERIODS: Final = (4, 7, 12, 24, 52.18, 30.4375, 365.25, 168)
SEASONS: Final = (2, 3, 4, 5, 6, 7, 12, 24)


def structural(rng: Rng) -> tuple[Words, int, bool]:
    """Any mix of components with at least one that is observed."""
    while True:
        model: Words = {"kind": "structural", "obs_var": some_variance(rng, zero=0.1)}
        states = 0
        if rng.random() < 0.85:
            model["level"], states = _moved(rng), 1
            if rng.random() < 0.35:
                model["trend"], states = _moved(rng, -6, 2), 2
        if rng.random() < 0.25:
            period = int(rng.choice([2, 3, 4, 5, 7, 12]))
            model["seasonal"], states = {"period": period, **_moved(rng)}, states + period - 1
        if rng.random() < 0.45:
            waves = [_waves(rng) for _ in range(int(rng.choice([1, 1, 2, 3])))]
            model["freq_seasonal"] = waves
            states += sum(2 * each["harmonics"] - (2 * each["harmonics"] == each["period"]) for each in waves)
        if rng.random() < 0.25:
            damping = 1.0 if rng.random() < 0.3 else round(float(rng.choice([0.5, 0.9, 0.99, 0.9999, 0.7])), 4)
            steps = round(log_uniform(rng, np.log10(2.1), 2.5), 3)
            model["cycle"], states = {"period": steps, "damping": damping, **_moved(rng)}, states + 2
        if rng.random() < 0.2:
            ar = _stationary(rng, int(rng.integers(1, 4)))
            model["ar"], states = {"coefficients": ar, "var": log_uniform(rng, -4, 4)}, states + len(ar)
        if rng.random() < 0.3:
            k = int(rng.integers(1, 5))
            model["regression"], states = (lambda r, periods, k=k: _regressors(r, periods, k)), states + k
        if states and _moves(model):
            return model, states, False


def _moves(model: Words) -> bool:
    """Whether anything explains a deviation."""
    parts = [model.get(name, {}) for name in ("level", "trend", "seasonal", "cycle", "ar")]
    parts += model.get("freq_seasonal", [])
    return model["obs_var"] > 0 or any(part.get("var", 0) > 0 for part in parts)


def _moved(rng: Rng, low: float = -4, high: float = 4) -> Words:
    return {} if rng.random() < 0.2 else {"var": some_variance(rng, low, high, 0.15)}


def _waves(rng: Rng) -> Words:
    period = float(rng.choice(PERIODS)) if rng.random() < 0.5 else log_uniform(rng, np.log10(2.01), 3.3)
    harmonics = int(rng.integers(1, min(3, int(period // 2)) + 1))
    return {"period": period, "harmonics": harmonics, **_moved(rng)}


def _regressors(rng: Rng, periods: int, k: int) -> Words:
    columns: list[np.ndarray[Any, Any]] = []
    for j in range(k):
        shape = rng.choice(["noise", "dummy", "trend", "constant", "copy"], p=[0.5, 0.2, 0.15, 0.05, 0.1])
        if shape == "dummy":
            column = (rng.random(periods) < 0.15).astype(float)
        elif shape == "trend":
            column = np.arange(1.0, periods + 1)
        elif shape == "constant":
            column = np.ones(periods)
        elif shape == "copy" and j:
            column = columns[-1] * 2 + (0 if rng.random() < 0.5 else 1e-3 * rng.normal(size=periods))
        else:
            column = rng.normal(size=periods)
        scale = 1.0 if rng.random() < 0.4 else 10.0 ** rng.uniform(-6, 6)
        columns.append(np.array([float(f"{x * scale:.5g}") for x in column]))
    words: Words = {"regressors": np.array(columns).T.tolist()}
    if rng.random() < 0.2:
        words["var"] = [some_variance(rng, -4, 1) for _ in range(k)]
    return words


def _stationary(rng: Rng, order: int, largest: float = 0.99) -> list[float]:
    """Coefficients whose roots are outside the unit circle, by their partial autocorrelations."""
    digits = int(rng.choice([1, 1, 2, 6]))
    while True:
        partial = rng.uniform(-largest, largest, order)
        phi = np.zeros(0)
        for r in partial:
            phi = np.append(phi - r * phi[::-1], r)
        phi = np.round(phi, digits)
        if np.abs(np.roots(np.concatenate([[1.0], -phi]))).max(initial=0) < 0.999:
            return [float(x) for x in phi]


def arima(rng: Rng) -> tuple[Words, int, bool]:
    """Any order up to a season of 24, at most 40 states."""
    while True:
        p, q = int(rng.integers(0, 4)), int(rng.integers(0, 4))
        d = int(rng.choice([0, 1, 2], p=[0.45, 0.35, 0.2]))
        model: Words = {"kind": "arima", "order": [p, d, q], "var": log_uniform(rng, -4, 4)}
        states, s = (0, 0)
        seasonal = rng.random() < 0.6
        orders = [int(x) for x in (rng.integers(0, 2), rng.integers(0, 2), rng.integers(0, 2))]
        if seasonal and any(orders):
            s = int(rng.choice(SEASONS))
            model["seasonal_order"] = [*orders, s]
        else:
            orders = [0, 0, 0]
        states = d + orders[1] * s + max(p + orders[0] * s, q + orders[2] * s + 1)
        if states > 40:
            continue
        names = (("ar", p), ("ma", q), ("seasonal_ar", orders[0]), ("seasonal_ma", orders[2]))
        model |= {name: _coefficients(rng, name, count) for name, count in names if count}
        if seasonal and orders[0] and orders[2] and rng.random() < 0.2:
            model["seasonal_ma"] = [-x for x in model["seasonal_ar"]]
        if p == q and p and rng.random() < 0.15:
            model["ma"] = [-x for x in model["ar"]]
        if rng.random() < 0.2:
            model["intercept"] = log_uniform(rng, -2, 1)
        if rng.random() < 0.2:
            model["obs_var"] = log_uniform(rng, -4, 3)
        return model, states, d + orders[1] == 0


def explained_arima(rng: Rng) -> tuple[Words, int, bool]:
    """With regressors, or a trend, or both."""
    model, states, _ = arima(rng)
    if states > 30:
        return explained_arima(rng)
    if rng.random() < 0.7:
        k = int(rng.integers(1, 4))
        model["regression"], states = (lambda r, periods: _regressors(r, periods, k)), states + k
    differences = model["order"][1] + model.get("seasonal_order", [0, 0])[1]
    if differences < 3 and ("regression" not in model or rng.random() < 0.4):
        model["trend"] = [power for power in range(differences, 4) if rng.random() < 0.6] or [differences]
        states += len(model["trend"])
    return model, states, False


def several_at_once(rng: Rng) -> tuple[Words, int, bool]:
    """Tracking with steps of zero: several observations of one instant."""
    model, states, stationary = _tracking(*TRACKING[int(rng.integers(2))])(rng)
    model["obs_var"] = model["obs_var"] or 1.0
    model["dt"] = lambda r, periods: [0.0 if r.random() < 0.4 else log_uniform(r, -2, 2) for _ in range(periods)]
    return model, states, stationary


def any_kind(rng: Rng) -> tuple[Words, int, bool]:
    """Of several blocks of states, which may start in different ways."""
    return (structural, arima, explained_arima)[int(rng.integers(3))](rng)


def _coefficients(rng: Rng, name: str, count: int) -> list[float]:
    if count == 1 and rng.random() < 0.15:
        return [float(rng.choice([0.99999, 0.9999, 0.999, -0.99999, -0.999]))]
    values = _stationary(rng, count)
    if name.endswith("ma"):
        # Beyond the unit circle a moving average is as good a model.
        return [-x for x in values] if rng.random() < 0.85 else [round(float(x), 2) for x in rng.uniform(-2, 2, count)]
    return values


def _tracking(kind: str, states: int) -> Draw:
    def draw(rng: Rng) -> tuple[Words, int, bool]:
        base: Words = {"kind": kind, "obs_var": some_variance(rng, zero=0.05), "accel_var": some_variance(rng, -8, 4)}
        if base["obs_var"] + base["accel_var"] == 0:
            base["obs_var"] = 1.0
        shape = rng.choice(["one", "near", "far", "jumps"], p=[0.2, 0.3, 0.3, 0.2])
        if shape == "one":
            return {**base, "dt": log_uniform(rng, -3, 6)}, states, False
        return {**base, "dt": lambda r, periods: _steps(r, str(shape), periods)}, states, False

    return draw


def _steps(rng: Rng, shape: str, periods: int) -> list[float]:
    if shape == "near":
        middle = rng.uniform(-3, 5)
        return [log_uniform(rng, middle, middle + 1) for _ in range(periods)]
    if shape == "far":
        return [log_uniform(rng, -3, 6) for _ in range(periods)]
    usual, jump = log_uniform(rng, -3, 1), log_uniform(rng, 1, 6)
    return [jump if rng.random() < 0.1 else usual for _ in range(periods)]


def local(rng: Rng) -> tuple[Words, int, bool]:
    """A level, or a level and a slope."""
    level = {"obs_var": some_variance(rng, -8, 8), "level_var": some_variance(rng, -8, 8)}
    if rng.random() < 0.4:
        level["level_var"] = level["level_var"] or 1.0
        return {"kind": "local_level", **level}, 1, False
    return {"kind": "local_linear_trend", **level, "trend_var": log_uniform(rng, -8, 4)}, 2, False


TRACKING: Final = (("constant_velocity", 2), ("constant_acceleration", 3))
# In this order, which a case's random numbers depend on.
DRAWS: Final[dict[str, Draw]] = {
    "structural": structural,
    "arima": arima,
    "velocity": _tracking(*TRACKING[0]),
    "acceleration": _tracking(*TRACKING[1]),
    "local": local,
    "explained": explained_arima,
    "instants": several_at_once,
    "mixed": any_kind,
}


def case_of(kind: str, seed: int) -> Case:
    """The case of that name."""
    return drawn(kind, seed, DRAWS[kind], list(DRAWS).index(kind), mixed=kind == "mixed")

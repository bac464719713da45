"""Policies of exercise for options on one asset: estimated on pilot paths, followed on others."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
from jaxtyping import Bool, Float

from luna_serving.engines.finance.montecarlo.black_scholes import european
from luna_serving.engines.finance.montecarlo.exercise.regression import backwards, continuation
from luna_serving.engines.finance.montecarlo.models.diffusion import Diffusion
from luna_serving.engines.finance.montecarlo.models.moves import Move
from luna_serving.engines.finance.montecarlo.payoffs.observers import Paid, Setting, Side, Values
from luna_serving.engines.finance.montecarlo.sampling.counters import Use, stream
from luna_serving.engines.finance.montecarlo.sampling.draws import Pseudo, Step

# Numbers of the pilot's paths that are kept: 16 MiB of prices.
MOST_PILOT: Final = 1 << 21


@dataclass(frozen=True, slots=True)
class Exercise:
    """An option that may be exercised at dates, expiry among them."""

    side: Side
    strike: float
    exercise: tuple[float, ...]
    """Years, increasing, the last at expiry."""
    upper_bound: bool
    uniforms: int = field(default=0, init=False)

    def dates(self, expiry: float) -> tuple[float, ...]:
        """The exercise dates."""
        del expiry
        return self.exercise

    def begin(self, setting: Setting, n: int) -> "Follower":
        """Without a policy it is exercised at expiry; see `Follower` for one."""
        return Follower(self, setting, Policy({}), n)


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """Exercise where it pays at least what going on is estimated to be worth."""

    coefficients: dict[int, Float[np.ndarray, " features"] | None]
    """By step; a step without an entry is no exercise date, and expiry needs none."""


def features(payoff: Exercise, setting: Setting, k: int, price: Values, variance: Values | None) -> Values:
    """Regressors after step k: powers of moneyness; the European value where there is one; the variance.

    The European value takes most of the work off the powers: near expiry the value of going on has a kink.
    """
    x = price / payoff.strike - 1.0
    rows = [np.ones_like(x), x, x * x, x * x * x]
    if isinstance(setting.model, Diffusion):
        worth = held(payoff, setting, k, price) / payoff.strike
        rows += [worth, worth * x, worth * worth]
    if variance is not None:
        rows += [variance, variance * x, variance * variance]
    return np.stack(rows)


def held(payoff: Exercise, setting: Setting, k: int, price: Values) -> Values:
    """The Black-Scholes value after step k of holding the option to expiry, at step k."""
    model = setting.model
    assert isinstance(model, Diffusion)  # noqa: S101  its callers ask
    left = setting.expiry - setting.times[k]
    out: Values = european(
        payoff.side, price, payoff.strike, model.rate, model.yields[0], model.volatilities[0], max(0.0, left)
    )
    return out


def estimate(payoff: Exercise, setting: Setting, seed: int) -> Policy:
    """The policy that pilot paths suggest; they are never used for a value, which would be biased upwards."""
    steps = exercise_steps(payoff, setting)
    n = 1 << min(15, max(12, (MOST_PILOT // len(steps)).bit_length() - 1))
    draws = Pseudo(n, len(setting.times), setting.model.needs, stream(seed, Use.PILOT, 0), antithetic=True)
    state = setting.model.begin(n)
    prices, variances, before = [], [], 0.0
    for k, (t, step) in enumerate(zip(setting.times, draws.steps(), strict=True)):
        setting.model.advance(state, t - before, step)
        before = t
        if k in steps:
            prices.append(np.exp(state.logs[0]))
            variances.append(state.variance)
    ordered = sorted(steps)
    dates = [0.0, *(setting.times[k] for k in ordered)]
    discounts = [float(np.exp(-setting.model.rate * (b - a))) for a, b in pairwise(dates)]

    def regressors(i: int, mask: Bool[np.ndarray, " n"]) -> Values:
        variance = variances[i]
        return features(payoff, setting, ordered[i], prices[i][mask], None if variance is None else variance[mask])

    intrinsic = np.stack([payoff.side.pays(price, payoff.strike) for price in prices])
    martingale = None
    if isinstance(setting.model, Diffusion):
        martingale = np.stack([held(payoff, setting, k, price) for k, price in zip(ordered, prices, strict=True)])
    coefficients, _ = backwards(intrinsic, discounts, regressors, martingale)
    return Policy(dict(zip(ordered, coefficients, strict=False)))


def exercise_steps(payoff: Exercise, setting: Setting) -> frozenset[int]:
    """The steps that end on an exercise date."""
    at = {t: k for k, t in enumerate(setting.times)}
    return frozenset(at[t] for t in payoff.exercise)


@dataclass(slots=True)
class Follower:
    """Follows a policy on n paths, from any step on."""

    payoff: Exercise
    setting: Setting
    policy: Policy
    n: int
    value: Values = field(init=False)
    """Discounted to time 0."""
    control: Values = field(init=False)
    """The European value at the time of exercise, discounted: a martingale, stopped (Rasmussen 2005)."""
    waiting: Bool[np.ndarray, " n"] = field(init=False)

    def __post_init__(self) -> None:
        self.value, self.control = np.zeros(self.n), np.zeros(self.n)
        self.waiting = np.ones(self.n, dtype=bool)

    def observe(self, k: int, move: Move, step: Step, own: Float[np.ndarray, "uniforms n"]) -> None:
        """Exercise where the policy says so."""
        del step, own
        self.see(k, move.end[0], move.level)

    def see(self, k: int, logs: Values, variance: Values | None) -> None:
        """As `observe`, of log prices and variances after step k."""
        last = k == len(self.setting.times) - 1
        if not last and k not in self.policy.coefficients:
            return
        index = np.flatnonzero(self.waiting)
        if not index.size:
            return
        price = np.exp(logs[index])
        now = self.payoff.side.pays(price.copy(), self.payoff.strike)
        discount = float(np.exp(-self.setting.model.rate * self.setting.times[k]))
        if last:
            self.value[index] = self.control[index] = discount * now
            return
        chosen = self.chooses(k, price, now, None if variance is None else variance[index])
        at = index[chosen]
        self.value[at] = discount * now[chosen]
        if isinstance(self.setting.model, Diffusion):
            self.control[at] = discount * held(self.payoff, self.setting, k, price[chosen])
        self.waiting[at] = False

    def chooses(self, k: int, price: Values, now: Values, variance: Values | None) -> Bool[np.ndarray, " n"]:
        """Where the policy exercises after step k."""
        out = np.zeros(price.shape, dtype=bool)
        beta = self.policy.coefficients.get(k)
        if beta is None:
            return out
        worth = now > 0.0
        x = features(self.payoff, self.setting, k, price[worth], None if variance is None else variance[worth])
        out[worth] = now[worth] >= continuation(beta, x)
        return out

    def paid(self) -> Paid:
        """What the policy paid."""
        return Paid({"value": self.value}, {"european": self.control})

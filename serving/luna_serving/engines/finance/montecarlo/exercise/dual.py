"""The dual upper bound of an early-exercise option, from the martingale of a policy's value.

Andersen and Broadie, "Primal-dual simulation algorithm for pricing multidimensional American options", Management
Science 50 (2004): outer paths, and from each of their dates inner paths that follow the policy. Noise of the inner
paths only raises the bound, so it stays one.
"""

from dataclasses import replace
from typing import Final

import numpy as np

from luna_serving.engines.finance.montecarlo.exercise.policies import Exercise, Follower, Policy, held
from luna_serving.engines.finance.montecarlo.models.diffusion import Diffusion
from luna_serving.engines.finance.montecarlo.models.moves import State
from luna_serving.engines.finance.montecarlo.payoffs.observers import Setting, Values
from luna_serving.engines.finance.montecarlo.sampling.counters import Use, stream
from luna_serving.engines.finance.montecarlo.sampling.draws import Pseudo

OUTER: Final = 32
"""Outer paths of a block."""
INNER: Final = 256
"""Inner paths of each date, half of them mirrored; their noise raises the bound by about 0.3 %."""


def bounds(payoff: Exercise, setting: Setting, policy: Policy, seed: int, block: int) -> Values:
    """A block's samples of the upper bound: max over the dates of (what exercise pays - the martingale)."""
    model, times = setting.model, setting.times
    generator = stream(seed, Use.DUAL, block)
    draws = Pseudo(OUTER, len(times), model.needs, generator, antithetic=False)
    chooser = Follower(payoff, setting, policy, OUTER)
    state = model.begin(OUTER)
    martingale, highest, before = np.zeros(OUTER), np.full(OUTER, -np.inf), 0.0
    going_on = _going_on(payoff, setting, policy, state, -1, generator)
    last = len(times) - 1
    for k, (t, step) in enumerate(zip(times, draws.steps(), strict=True)):
        model.advance(state, t - before, step)
        before = t
        if k != last and k not in policy.coefficients:
            continue
        price = np.exp(state.logs[0])
        now = payoff.side.pays(price.copy(), payoff.strike)
        discounted = float(np.exp(-model.rate * t)) * now
        following = discounted if k == last else _going_on(payoff, setting, policy, state, k, generator)
        stops = np.ones(OUTER, dtype=bool) if k == last else chooser.chooses(k, price, now, state.variance)
        martingale += np.where(stops, discounted, following) - going_on
        going_on = following
        np.maximum(highest, discounted - martingale, out=highest)
    return highest


def _going_on(
    payoff: Exercise, setting: Setting, policy: Policy, state: State, k: int, generator: np.random.Generator
) -> Values:
    """The policy's value after step k of not exercising there, discounted to time 0, for each outer path."""
    model, times = setting.model, setting.times
    n = state.logs.shape[1] * INNER
    inner = replace(
        state,
        logs=np.tile(state.logs, (1, INNER)),
        variance=None if state.variance is None else np.tile(state.variance, INNER),
    )
    follower = Follower(payoff, setting, policy, n)
    draws = Pseudo(n, len(times) - k - 1, model.needs, generator, antithetic=True)
    before = times[k] if k >= 0 else 0.0
    for j, step in zip(range(k + 1, len(times)), draws.steps(), strict=True):
        move = model.advance(inner, times[j] - before, step)
        before = times[j]
        follower.see(j, move.end[0], move.level)
    value = follower.value.reshape(INNER, -1).mean(axis=0)
    if isinstance(model, Diffusion) and k >= 0:
        exact = float(np.exp(-model.rate * times[k])) * held(payoff, setting, k, np.exp(state.logs[0]))
        value = value - follower.control.reshape(INNER, -1).mean(axis=0) + exact
    out: Values = value
    return out

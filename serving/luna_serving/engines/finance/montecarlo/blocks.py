"""A block: paths drawn, moved, paid and summed. A pure function of the problem, the pilot and the block's number."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float

from luna_serving.engines.finance.montecarlo.exercise import dual
from luna_serving.engines.finance.montecarlo.exercise.policies import Exercise, Follower, Policy, estimate
from luna_serving.engines.finance.montecarlo.models.moves import Move, State
from luna_serving.engines.finance.montecarlo.payoffs.observers import Observer, Paid
from luna_serving.engines.finance.montecarlo.payoffs.portfolio import Portfolio
from luna_serving.engines.finance.montecarlo.problems import Problem
from luna_serving.engines.finance.montecarlo.reduction.moments import Floats, Moments
from luna_serving.engines.finance.montecarlo.reduction.tails import Cells, Tail
from luna_serving.engines.finance.montecarlo.sampling.counters import Use, stream
from luna_serving.engines.finance.montecarlo.sampling.draws import Draws, Pseudo, Step

PILOT_PATHS: Final = 1 << 12


class NotFinite(ArithmeticError):
    """Prices or payoffs overflow float64: the parameters are too extreme for the horizon."""


@dataclass(frozen=True, slots=True, eq=False)
class Pilot:
    """What blocks need to know before the first: a pure function of the problem."""

    policy: Policy | None = None
    cells: Cells | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """What is kept of a block."""

    moments: Moments
    tail: Tail | None = None
    upper: Moments | None = None
    """Of the dual upper bound."""


def pilot(problem: Problem) -> Pilot:
    """The pilot of a problem; costs nothing where there is nothing to know.

    Raises:
        NotFinite: losses overflow.
    """
    with np.errstate(all="ignore"):
        return _pilot(problem)


def _pilot(problem: Problem) -> Pilot:
    match problem.payoff:
        case Exercise():
            return Pilot(policy=estimate(problem.payoff, problem.setting, problem.seed))
        case Portfolio():
            generator = stream(problem.seed, Use.PILOT, 0)
            draws = Pseudo(PILOT_PATHS, len(problem.times), problem.needs, generator, antithetic=False)
            return Pilot(cells=Cells.of(_finite(-simulate(problem, draws, Pilot()).values["value"])))
        case _:
            return Pilot()


def compute(problem: Problem, known: Pilot, block: int) -> Block:
    """Compute a block.

    Raises:
        NotFinite: a payoff overflows.
    """
    with np.errstate(all="ignore"):
        return _compute(problem, known, block)


def _compute(problem: Problem, known: Pilot, block: int) -> Block:
    pieces = [_samples(problem, known, draws) for draws in problem.drawing.block(problem.seed, block)]
    first, *others = (moments for moments, _ in pieces)
    upper = None
    if isinstance(problem.payoff, Exercise) and problem.payoff.upper_bound:
        assert known.policy is not None  # noqa: S101  `pilot` makes it
        samples = dual.bounds(problem.payoff, problem.setting, known.policy, problem.seed, block)
        upper = Moments.of(_finite(samples)[None, None])
    return Block(first.beside(others), pieces[0][1], upper)


def _samples(problem: Problem, known: Pilot, draws: Draws) -> tuple[Moments, Tail | None]:
    paid = simulate(problem, draws, known)
    rows = [paid.values[name] for name in problem.layout.values]
    rows += [paid.seen[name] for name in problem.layout.controls]
    samples = _finite(np.stack(rows))
    tail = Tail.of(known.cells, -rows[0]) if known.cells is not None else None
    if problem.drawing.antithetic:
        half = draws.paths // 2
        samples = 0.5 * (samples[:, :half] + samples[:, half:])
    return Moments.of(samples.reshape(len(rows), draws.groups, -1)), tail


def _finite(samples: Floats) -> Floats:
    if not np.isfinite(samples).all():
        raise NotFinite("prices or payoffs overflow float64")
    return samples


def simulate(problem: Problem, draws: Draws, known: Pilot) -> Paid:
    """What paths pay, with all that control variates see."""
    observer = _observer(problem, known, draws.paths)
    logs: Float[np.ndarray, "assets n"] | None = None
    uniforms = problem.model.needs.uniforms
    for k, (move, step) in enumerate(moves(problem, draws)):
        observer.observe(k, move, step, step.uniforms[uniforms:])
        logs = move.end
    paid = observer.paid()
    assert logs is not None  # noqa: S101  there is a step
    return Paid(paid.values, {**paid.seen, **_seen(problem, logs)})


def moves(problem: Problem, draws: Draws) -> Iterator[tuple[Move, Step]]:
    """The steps of paths."""
    model, before = problem.model, 0.0
    state: State = model.begin(draws.paths)
    for t, step in zip(problem.times, draws.steps(), strict=True):
        yield model.advance(state, t - before, step), step
        before = t


def _observer(problem: Problem, known: Pilot, n: int) -> Observer:
    if isinstance(problem.payoff, Exercise):
        return Follower(problem.payoff, problem.setting, known.policy or Policy({}), n)
    return problem.payoff.begin(problem.setting, n)


def _seen(problem: Problem, logs: Float[np.ndarray, "assets n"]) -> dict[str, Float[np.ndarray, " n"]]:
    """Control variates of the prices at expiry."""
    discount, out = problem.setting.discount, {}
    for name in problem.layout.controls:
        kind, _, asset = name.partition("_")
        if kind == "underlying":
            out[name] = discount * np.exp(logs[int(asset)])
        elif name == "european" and not isinstance(problem.payoff, Exercise):
            payoff = problem.payoff
            out[name] = discount * payoff.side.pays(np.exp(logs[0]), payoff.strike)  # type: ignore[attr-defined]
    return out

"""One case: the engine's answers against the exact ones."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec

from .cases import Case, Words
from .engine import RefusedError, answered, requests
from .engine_models import system_of_engine
from .expected import Answer, Expected
from .wire_models import system_of

BOUND: Final = 1e-8
# Below it the engine's float64 matrices are as good as the wire's words.
SAME_MODEL: Final = 1e-10
# What an engine may make of a change by a unit in the last place of each number of the request.
ULPS: Final = 1000
# A direction that is seen by less than the rounding of regressors: which of them are multiples of each other, or of a
# trend, is then decided by digits that the caller never had.
INPUT_ROUNDING: Final = 2e-15
# An answer that such a change moves by so much of its scale tells nothing about which directions are open.
UNTELLABLE: Final = 1e-3


@dataclass(frozen=True)
class Failure:
    """An output that is wrong, or that should be null and is not; the error is in units of its scale."""

    case: Case
    output: str
    error: float
    inherent: float
    """What a change of the request by a unit in the last place of each of its numbers does to the exact answer."""
    plan: str
    faintest: float = 1.0

    @property
    def ill_posed(self) -> bool:
        """Whether no engine could be expected to be right."""
        rounded = self.faintest < INPUT_ROUNDING and "regression" in self.case.model
        return self.error <= ULPS * self.inherent or self.inherent > UNTELLABLE or rounded

    def __str__(self) -> str:
        ill = "ill-posed" if self.ill_posed else "WRONG"
        return f"{self.case.name} {self.output} {self.error:.3g} {ill} inherent={self.inherent:.1g} {self.plan}"


@dataclass
class Verdict:
    """What one case showed."""

    case: Case
    failures: list[Failure] = field(default_factory=list)
    worst: float = 0.0
    """Over the outputs that are right."""
    faintest: float = 1.0
    """How little of its row an observation tells of the diffuse part beyond those before it."""

    @property
    def wrong(self) -> list[Failure]:
        """What a float64 engine could have got right."""
        return [each for each in self.failures if not each.ill_posed and not each.output.endswith(".open")]

    @property
    def wrong_while_open(self) -> list[Failure]:
        """The same of the finite parts of what the diffuse phase has not been told yet."""
        return [each for each in self.failures if not each.ill_posed and each.output.endswith(".open")]


class _Truth:
    """The exact answers under the wire's words and, where they are needed, under the engine's matrices."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.expected = Expected(case, system_of(case.model))
        self.answers = self.expected.answers()

    @cached_property
    def of_engine(self) -> dict[str, Answer]:
        words = dict(self.case.model)
        model = ModelSpec.of(words["kind"], {name: value for name, value in words.items() if name != "kind"}).build()
        expected = Expected(self.case, system_of_engine(model, words))
        if len(expected.joint.basis) != len(self.expected.joint.basis):
            return {}
        return expected.answers()

    @cached_property
    def nudged(self) -> list[dict[str, Answer]]:
        """The exact answers to requests a unit in the last place away: equal numbers alike in two, apart in one.

        Columns that are multiples of each other but for the rounding of decimals are told apart by that rounding alone.
        """
        found = []
        for salt in (1, 2, 3):
            model = _nudged(self.case.model, salt, apart=salt == 3)
            case = replace(self.case, model=model, series=_nudged(self.case.series, salt))
            found.append(Expected(case, system_of(model)).answers())
        return found

    def inherent(self, output: str) -> float:
        others = [self.of_engine, *self.nudged]
        return max(distance(self.answers[output], other[output]) if output in other else 0.0 for other in others)


def _nudged(value: Any, salt: int, *, apart: bool = False, at: tuple[Any, ...] = ()) -> Any:
    """With each number that is not whole moved by a unit in the last place; equal ones alike, unless `apart`."""
    if isinstance(value, dict):
        return {name: _nudged(each, salt, apart=apart, at=(*at, name)) for name, each in value.items()}
    if isinstance(value, list):
        return [_nudged(each, salt, apart=apart, at=(*at, i)) for i, each in enumerate(value)]
    if not isinstance(value, float) or value == int(value):
        return value
    # Of text the hash differs from run to run.
    place = tuple(sum(map(ord, step)) if isinstance(step, str) else step for step in at) if apart else ()
    up = hash((abs(value), salt, place)) % 2
    return value * (1 + 2.0**-52) if up else value * (1 - 2.0**-52)


TASKS: Final = ("filter", "means", "smooth", "forecast")


def judged(case: Case, tasks: Collection[str] = TASKS) -> Verdict:
    """Ask the engine everything about a case; a refusal of what is valid is a failure too."""
    verdict = Verdict(case)
    truth: _Truth | None = None
    for task, body in requests(case).items():
        if task not in tasks:
            continue
        try:
            answer = answered("filter" if task == "means" else task, body)
        except RefusedError as refusal:
            verdict.failures.append(Failure(case, f"{task}/refused", np.inf, 0.0, str(refusal.errors)))
            continue
        except AssertionError as broken:
            verdict.failures.append(Failure(case, task, np.inf, 0.0, str(broken)))
            continue
        truth = truth or _Truth(case)
        verdict.faintest = truth.expected.joint.faintest
        plan = answer["plan"]["algorithm"]
        for output, error in _errors(answer["results"][0], truth, {"loglike"} if task == "means" else set()):
            if error > BOUND:
                verdict.failures.append(
                    Failure(case, f"{task}/{output}", error, truth.inherent(output), plan, verdict.faintest)
                )
            else:
                verdict.worst = max(verdict.worst, error)
    return verdict


def _errors(result: Words, truth: _Truth, skip: set[str]) -> Iterator[tuple[str, float]]:
    for output, exact in truth.answers.items():
        name = output.removesuffix(".open")
        if name not in result or name in skip:
            continue
        ours = np.array(result[name], dtype=np.float64)
        error = error_of(ours, exact)
        if error > BOUND and output in truth.of_engine:
            other = truth.of_engine[output]
            if distance(exact, other) > SAME_MODEL:
                error = min(error, error_of(ours, other))
            if (exact.null != other.null).any():
                error = error_of(ours, _decided(exact, other))
        yield output, error


def _decided(one: Answer, other: Answer) -> Answer:
    """Without the entries that are open under one of two models only.

    By the symmetry of waves a state may be closed at one instant; in matrices of float64 it stays open.
    """
    same = one.null == other.null
    return replace(one, judged=one.judged & same, null=one.null & same)


def error_of(ours: NDArray[np.float64], exact: Answer) -> float:
    """The worst error in units of the scale; infinite where a null should be a number, or a number null."""
    if ours.shape != exact.value.shape:
        return np.inf
    if (np.isnan(ours) != exact.null)[exact.judged | exact.null].any():
        return np.inf
    return _worst(np.abs(ours - exact.value), exact)


def distance(one: Answer, other: Answer) -> float:
    """How far apart two exact answers are, in units of the first one's scale."""
    return _worst(np.where(other.judged, np.abs(one.value - other.value), 0.0), one)


def _worst(difference: NDArray[np.float64], exact: Answer) -> float:
    difference = np.where(exact.judged, difference, 0.0)
    ratio = np.where(difference > 0, difference / np.where(exact.scale > 0, exact.scale, 1e-300), 0.0)
    return float(ratio.max(initial=0.0))

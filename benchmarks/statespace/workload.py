"""What is computed: one model, seeded series, three tasks; and how an answer is compared with another."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.kinds.local import local_linear_trend
from luna_serving.engines.statespace.model.initial import Known

Floats = NDArray[np.float64]
OBS_VAR, LEVEL_VAR, TREND_VAR = 1.0, 0.1, 0.01
START_MEAN: Final = np.zeros(2)
# Every peer has known moments of the state before the first observation; not all of them a diffuse start.
START_COV: Final = 100 * np.eye(2)
MODEL: Final = local_linear_trend(
    obs_var=OBS_VAR, level_var=LEVEL_VAR, trend_var=TREND_VAR, initial=Known(START_MEAN, START_COV)
)
MISSING_SHARE: Final = 0.1
# Means and covariances absolute, where one standard deviation is about 0.7; log-likelihoods a period.
AGREEMENT: Final = 1e-6


class Task(Enum):
    """What is asked for, and in which series. The value is its name in JSON."""

    MEANS = "means"
    GAPS = "gaps"
    FULL = "full"

    @property
    def title(self) -> str:
        """For people."""
        return {
            Task.MEANS: "filtered means, nothing missing",
            Task.GAPS: "filtered means, 10 % missing, each series its own",
            Task.FULL: "filtered means and covariances, log-likelihood; nothing missing",
        }[self]

    @property
    def bytes_a_step(self) -> int:
        """What any implementation must read and write: y in, the mean [2] out, and in full the covariance [2, 2]."""
        return 8 * (1 + 2 + (4 if self is Task.FULL else 0))


class Size(NamedTuple):
    """A number of series and of their periods."""

    series: int
    periods: int

    @property
    def steps(self) -> int:
        """One step is one period of one series."""
        return self.series * self.periods


class Answer(NamedTuple):
    """What was found out about one series."""

    means: Floats  # [T, 2]
    covs: Floats | None = None  # [T, 2, 2]
    loglike_obs: Floats | float | None = None  # [T], or their sum


class WrongAnswerError(Exception):
    """Somebody computes something else than the others: nothing may be timed."""


@dataclass(frozen=True)
class Prepared:
    """A call that is ready to be timed: the data are laid out as the contender wants them."""

    run: Callable[[], Any]
    one: Callable[[Any, int], Answer]
    """From what `run` returned: the answer about one series."""


class Contender(Protocol):
    """One way to the answers."""

    name: str
    shortens: Literal["series", "periods"] | None
    """Where its whole call takes too long, of what a shorter one has fewer; None: it is always measured whole."""

    def prepare(self, task: Task, y: Floats) -> Prepared | None:
        """Lay out the series [B, T], NaN where missing; None where it cannot."""
        ...


def series(task: Task, size: Size) -> Floats:
    """Random walks [B, T], the same for everybody; with gaps where the task has them."""
    rng = np.random.default_rng(size.steps)
    y = rng.normal(size=size).cumsum(axis=1)
    if task is Task.GAPS:
        y[rng.random(size) < MISSING_SHARE] = np.nan
    return y


def check(name: str, found: Answer, expected: Answer) -> None:
    """Compare an answer with that about the same series, or a longer one: a filter does not look ahead.

    Raises:
        WrongAnswerError: they differ by more than `AGREEMENT`.
    """
    length = len(found.means)
    _close(f"{name}: filtered means", found.means, expected.means[:length])
    if expected.covs is not None:
        if found.covs is None or found.loglike_obs is None:
            raise WrongAnswerError(f"{name}: no covariances or no log-likelihood")
        _close(f"{name}: filtered covariances", found.covs, expected.covs[:length])
        totals = [_total(answer.loglike_obs, length) for answer in (found, expected)]
        _close(f"{name}: log-likelihood a period", totals[0], totals[1])


def _total(loglike_obs: Floats | float | None, length: int) -> Floats:
    """Its mean over the first periods."""
    return np.sum(np.asarray(loglike_obs, np.float64).reshape(-1)[:length]) / length


def _close(what: str, found: Floats, expected: Floats) -> None:
    if np.shape(found) != np.shape(expected):
        raise WrongAnswerError(f"{what} have shape {np.shape(found)}, not {np.shape(expected)}")
    off = float(np.max(np.abs(found - expected)))
    # So written, NaN is wrong too.
    if not off <= AGREEMENT:
        raise WrongAnswerError(f"{what} differ from Luna's by {off:.2g}")


def grid(series_: Iterable[int], periods: Iterable[int], most: int) -> list[Size]:
    """All pairs of at most `most` steps."""
    pairs = [Size(b, t) for t in periods for b in series_]
    return [size for size in pairs if size.steps <= most]

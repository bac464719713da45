"""What the catalogue says of an indicator."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from luna_serving.engines.indicators.formula import BatchFormula, Formula, Params


class Group(StrEnum):
    """Where an indicator stands in the catalogue: TA-Lib's groups, and two of our own."""

    OVERLAP = "overlap"
    MOMENTUM = "momentum"
    VOLUME = "volume"
    VOLATILITY = "volatility"
    PRICE = "price"
    CYCLE = "cycle"
    STATISTIC = "statistic"
    PATTERN = "pattern"
    LEVEL = "level"
    STATE_SPACE = "state_space"


class Stability(StrEnum):
    """How a value depends on bars long before it."""

    EXACT = "exact"
    """A value is a function of its own bar."""
    WINDOW = "window"
    """A value is a function of its own bar and the `lookback` bars before it."""
    CONVERGING = "converging"
    """A value is recursive, and forgets its start: more history changes it less and less."""
    CUMULATIVE = "cumulative"
    """A value depends on every bar since the first, or since the anchor."""

    @property
    def recursive(self) -> bool:
        """Whether a gap affects every later value."""
        return self in {Stability.CONVERGING, Stability.CUMULATIVE}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter, in TA-Lib's range; both ends are allowed."""

    name: str
    type: Literal["integer", "number"]
    default: int | float
    min: int | float
    max: int | float


@dataclass(frozen=True, slots=True)
class Lookback:
    """How many bars before the first value, as a rule in the names of parameters and as a function."""

    rule: str
    of: Callable[[Params], int | float]


@dataclass(frozen=True, slots=True)
class Constraint:
    """A condition between parameters; `name` is the parameter to change where it does not hold."""

    name: str
    detail: str
    holds: Callable[[Params], bool]


@dataclass(frozen=True, slots=True)
class Indicator:
    """One entry of the catalogue."""

    name: str
    title: str
    group: Group
    inputs: tuple[str, ...]
    """Columns of `Bars`, in the order that the formula takes them."""
    parameters: tuple[Parameter, ...]
    outputs: tuple[str, ...]
    stability: Stability
    lookback_rule: Lookback
    formula: Formula
    batch: BatchFormula | None = None
    """The formula of many series at once, where that is faster; the same values."""
    needs_benchmark: bool = False
    """Whether the formula takes the benchmark's columns `inputs` after the instrument's own."""
    takes_anchor: bool = False
    constraints: tuple[Constraint, ...] = ()

    def lookback(self, params: Params) -> int:
        """Nulls at the start of a history without gaps, of params that `checked` returned."""
        return int(self.lookback_rule.of(params))

"""Functions that another engine adds to the language, over the whole history of the selected series."""

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from luna_serving.engines.promql.series import Bools, Floats, Ints, Series


class ArgumentType(enum.Enum):
    """The type of an argument of an extension. The name is Prometheus' name of the type."""

    #: An instant vector selector (with offset and @, if any). Exactly one argument has this type.
    SELECTOR = "instant vector"
    #: A scalar expression; a duration literal such as `5m` is a scalar in seconds.
    SCALAR = "scalar"
    STRING = "string"


@dataclass(frozen=True, slots=True)
class ExtensionCall:
    """What an extension computes from.

    Attributes:
        series: the selected series; samples from `history(first time)` to the last time, staleness markers removed.
        live: bool [series, steps]: whether the selector itself has a value at the step (look-back and
            staleness markers considered). An extension decides what it answers elsewhere.
        times_ms: int64 [steps], ascending, not always strictly: the steps, moved by the selector's offset and @. The
            value at step `i` must depend on samples up to and including `times_ms[i]` only.
        arguments: the other arguments, in order: float64 [steps] for scalars, a text for strings.
        check: to be called regularly; it raises to end the evaluation.
    """

    series: Sequence[Series]
    live: Bools
    times_ms: Ints
    arguments: Sequence[Floats | str]
    check: Callable[[], None]


@dataclass(frozen=True, slots=True)
class ExtensionSeries:
    """One series of the answer.

    Attributes:
        labels: used as given. Leave `__name__` out, as other functions do. No two alike.
        values: float64 [steps].
        present: bool [steps]: where there is a value.
    """

    labels: Mapping[str, str]
    values: Floats
    present: Bools


@dataclass(frozen=True, slots=True)
class Extension:
    """A function of the language.

    Attributes:
        name: as in a query; no function of Prometheus.
        arguments: types of all arguments.
        history: from the time of the first step (ms, moved by offset and @) to the first sample needed (ms, inclusive).
        compute: the function. Called once per call in the query and grid. Raises `ValueError` for an argument out of
            its range; the message becomes an `EvaluationError`.
        optional: how many of the last arguments may be left out.
    """

    name: str
    arguments: tuple[ArgumentType, ...]
    history: Callable[[int], int]
    compute: Callable[[ExtensionCall], Sequence[ExtensionSeries]]
    optional: int = 0

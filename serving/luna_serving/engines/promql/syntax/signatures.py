"""The functions of the language and their types, as in Prometheus 3.14 (promql/parser/functions.go)."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from luna_serving.engines.promql.extensions import ArgumentType, Extension


class Type(enum.Enum):
    """The type of a value; the value is Prometheus' documented name."""

    SCALAR = "scalar"
    VECTOR = "instant vector"
    MATRIX = "range vector"
    STRING = "string"


@dataclass(frozen=True, slots=True)
class Signature:
    """Types of a function.

    Attributes:
        arguments: the last one repeats if `variadic` is not 0.
        variadic: how many more arguments than `len(arguments) - 1` are allowed; -1 for any number; 0 for exactly
            `len(arguments)`.
        extension: of functions that are not Prometheus'.
    """

    name: str
    arguments: tuple[Type, ...]
    result: Type = Type.VECTOR
    variadic: int = 0
    extension: Extension | None = None


_V, _M, _S, _T = Type.VECTOR, Type.MATRIX, Type.SCALAR, Type.STRING

_OVER_VECTOR: Final = [
    "abs", "absent", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "deg", "exp",
    "floor", "ln", "log10", "log2", "rad", "sgn", "sin", "sinh", "sort", "sort_desc", "sqrt", "tan", "tanh",
    "timestamp",
]  # fmt: skip
_OVER_RANGE: Final = [
    "absent_over_time", "avg_over_time", "changes", "count_over_time", "delta", "deriv", "first_over_time",
    "idelta", "increase", "irate", "last_over_time", "max_over_time", "min_over_time", "present_over_time", "rate",
    "resets", "stddev_over_time", "stdvar_over_time", "sum_over_time",
]  # fmt: skip
_OF_DATES: Final = ["days_in_month", "day_of_month", "day_of_week", "day_of_year", "hour", "minute", "month", "year"]

FUNCTIONS: Final[Mapping[str, Signature]] = {
    signature.name: signature
    for signature in (
        *(Signature(name, (_V,)) for name in _OVER_VECTOR),
        *(Signature(name, (_M,)) for name in _OVER_RANGE),
        *(Signature(name, (_V,), variadic=1) for name in _OF_DATES),
        Signature("clamp", (_V, _S, _S)),
        Signature("clamp_max", (_V, _S)),
        Signature("clamp_min", (_V, _S)),
        Signature("histogram_fraction", (_S, _S, _V)),
        Signature("histogram_quantile", (_S, _V)),
        Signature("label_join", (_V, _T, _T, _T), variadic=-1),
        Signature("label_replace", (_V, _T, _T, _T, _T)),
        Signature("pi", (), _S),
        Signature("predict_linear", (_M, _S)),
        Signature("quantile_over_time", (_S, _M)),
        Signature("round", (_V, _S), variadic=1),
        Signature("scalar", (_V,), _S),
        Signature("time", (), _S),
        Signature("vector", (_S,)),
    )
}

#: Experimental in Prometheus 3.14, behind a feature flag.
EXPERIMENTAL: Final = frozenset((
    "double_exponential_smoothing", "end", "histogram_quantiles", "info", "mad_over_time", "max_of", "min_of",
    "range", "sort_by_label", "sort_by_label_desc", "start", "start_timestamp", "step", "ts_of_first_over_time",
    "ts_of_last_over_time", "ts_of_max_over_time", "ts_of_min_over_time",
))  # fmt: skip
#: They read native histograms, which this engine does not have.
NATIVE: Final = frozenset(["histogram_avg", "histogram_count", "histogram_stddev", "histogram_stdvar", "histogram_sum"])

_ARGUMENT_TYPES: Final = {
    ArgumentType.SELECTOR: Type.VECTOR,
    ArgumentType.SCALAR: Type.SCALAR,
    ArgumentType.STRING: Type.STRING,
}


def signature_of(extension: Extension) -> Signature:
    """The signature of an extension, for the grammar; optional arguments are checked with the types."""
    return Signature(extension.name, tuple(_ARGUMENT_TYPES[kind] for kind in extension.arguments), extension=extension)

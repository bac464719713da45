"""Functions and operators of single values, over arrays of any shape."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from luna_serving.engines.promql.series import Bools, Floats

FUNCTIONS: Final[Mapping[str, Callable[[Floats], Floats]]] = {
    "abs": np.abs,
    "acos": np.arccos,
    "acosh": np.arccosh,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "ceil": np.ceil,
    "cos": np.cos,
    "cosh": np.cosh,
    "deg": lambda value: value * 180 / np.pi,
    "exp": np.exp,
    "floor": np.floor,
    "ln": np.log,
    "log10": np.log10,
    "log2": np.log2,
    "rad": lambda value: value * np.pi / 180,
    "sgn": lambda value: np.where(value < 0, -1.0, np.where(value > 0, 1.0, value)),
    "sin": np.sin,
    "sinh": np.sinh,
    "sqrt": np.sqrt,
    "tan": np.tan,
    "tanh": np.tanh,
}

ARITHMETIC: Final[Mapping[str, Callable[[Floats, Floats], Floats]]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}

COMPARISONS: Final[Mapping[str, Callable[[Floats, Floats], Bools]]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}


def rounded(values: Floats, nearest: Floats) -> Floats:
    """To the nearest multiple, ties upwards."""
    inverse = 1.0 / nearest
    result: Floats = np.floor(values * inverse + 0.5) / inverse
    return result


def clamped(values: Floats, low: Floats, high: Floats) -> Floats:
    """Within bounds. An infinity decides over NaN, as in Go's math.Max and math.Min."""
    below = np.where((high == -np.inf) | (values == -np.inf), -np.inf, np.minimum(high, values))
    result: Floats = np.where((low == np.inf) | (below == np.inf), np.inf, np.maximum(low, below))
    return result

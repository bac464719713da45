"""Checks of what a caller gives for parameters, and the one form in which they are kept."""

from collections.abc import Mapping
from types import MappingProxyType

from luna_serving.engines.indicators.catalogue.entry import Indicator, Parameter
from luna_serving.engines.indicators.formula import Params


class ParameterInvalid(ValueError):
    """A parameter that the indicator does not accept: `name` is the field, `detail` what to change."""

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}")
        self.name = name
        self.detail = detail


def checked(indicator: Indicator, given: Mapping[str, object]) -> Params:
    """The indicator's parameters with defaults filled in, sorted by name. Read-only.

    A whole float is taken for an integer (JSON has one kind of number); a boolean or a string is not.

    Raises:
        ParameterInvalid: a name is unknown, a value has the wrong type or is out of range, or two contradict.
    """
    known = {each.name: each for each in indicator.parameters}
    for name in given:
        if name not in known:
            names = ", ".join(known) or "none"
            raise ParameterInvalid(name, f"is not a parameter of {indicator.name}; its parameters: {names}")
    params = {name: _number(each, given.get(name, each.default)) for name, each in sorted(known.items())}
    for constraint in indicator.constraints:
        if not constraint.holds(params):
            raise ParameterInvalid(constraint.name, constraint.detail)
    return MappingProxyType(params)


def canonical(params: Params) -> str:
    """Parameters as part of a key: `fast_period=12,slow_period=26`; equal exactly where the parameters are."""
    return ",".join(f"{name}={value!r}" for name, value in sorted(params.items()))


def _number(parameter: Parameter, value: object) -> int | float:
    span = f"{parameter.min:.15g} to {parameter.max:.15g}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        kind = "an integer" if parameter.type == "integer" else "a number"
        raise ParameterInvalid(parameter.name, f"must be {kind} from {span}")
    if not parameter.min <= value <= parameter.max:
        raise ParameterInvalid(parameter.name, f"must be from {span}")
    if parameter.type == "number":
        # 0.0 and -0.0 are equal, and so must their keys be.
        return float(value) + 0.0
    if value != int(value):
        raise ParameterInvalid(parameter.name, f"must be an integer from {span}, not {value:.15g}")
    return int(value)

"""Arguments of an indicator's call: which are series, which are parameters, and whether the parameters are valid."""

from collections.abc import Sequence
from typing import Final

from luna_serving.engines.indicators.catalogue.entry import Indicator, Parameter
from luna_serving.engines.indicators.catalogue.parameters import ParameterInvalid, checked

from .faults import Fault, Reason, Span
from .syntax import Argument, Call, Group, Name, Number, Syntax, Unary

_DIGITS: Final = "0123456789"


def free_inputs(indicator: Indicator) -> int:
    """How many series the caller gives: 0 if the indicator reads several columns of the bars, as atr does."""
    if len(indicator.inputs) > 1:
        return 0
    return 2 if indicator.needs_benchmark else 1


def split(call: Call, indicator: Indicator) -> tuple[Sequence[Syntax], Sequence[Argument]]:
    """The series among the arguments, and the rest. Raises `Fault`."""
    free = free_inputs(indicator)
    if free:
        given = call.arguments[:free]
        for i in range(free):
            if i >= len(given) or given[i].name is not None or literal(given[i].value) is not None:
                raise _series_missing(call, indicator, i)
        return [each.value for each in given], call.arguments[free:]
    if indicator.needs_benchmark:
        message = f"{indicator.name} compares two instruments; an expression sees one."
        raise Fault(Reason.NAME, call.name.span, message, "Call the indicator itself, with benchmark.")
    return [], _after_columns(call, indicator)


def parameters(call: Call, indicator: Indicator, given: Sequence[Argument]) -> tuple[tuple[str, int | float], ...]:
    """The indicator's parameters, sorted by name, defaults filled in. Raises `Fault`."""
    values: dict[str, int | float] = {}
    places: dict[str, Span] = {}
    named = False
    for i, argument in enumerate(given):
        if argument.name is None and named:
            message = "An argument without a name follows one with a name."
            raise Fault(Reason.ARGUMENT, argument.span, message, "Put arguments without names first.")
        named = argument.name is not None
        parameter = _parameter(indicator, argument, i)
        if parameter.name in values:
            message = f"{parameter.name} is given twice."
            raise Fault(Reason.ARGUMENT, argument.span, message, "Remove one.")
        values[parameter.name] = _value(parameter, argument.value)
        places[parameter.name] = argument.value.span
    try:
        return tuple(checked(indicator, values).items())
    except ParameterInvalid as invalid:
        place = places.get(invalid.name, call.name.span)
        message = f"{invalid.name} of {indicator.name}: {invalid.detail}."
        raise Fault(Reason.ARGUMENT, place, message, f"Change {invalid.name}.") from None


def literal(syntax: Syntax) -> Number | None:
    """The number, if it is a literal, with or without a minus sign and parentheses."""
    match syntax:
        case Number():
            return syntax
        case Group(inner) | Unary("-", inner):
            return literal(inner)
        case _:
            return None


def integer(syntax: Syntax) -> int | None:
    """The value of a literal integer: digits only, with or without minus signs."""
    match syntax:
        case Number(text):
            return int(text) if not text.strip(_DIGITS) else None
        case Group(inner):
            return integer(inner)
        case Unary("-", operand):
            value = integer(operand)
            return None if value is None else -value
        case _:
            return None


def number(syntax: Syntax) -> float | None:
    """The value of a literal number."""
    match syntax:
        case Number(text):
            return float(text)
        case Group(inner):
            return number(inner)
        case Unary("-", operand):
            value = number(operand)
            return None if value is None else -value
        case _:
            return None


def _series_missing(call: Call, indicator: Indicator, i: int) -> Fault:
    place = call.arguments[i].span if i < len(call.arguments) else call.name.span
    series = "close" if free_inputs(indicator) == 1 else "close, volume"
    rest = "".join(f", {parameter.default}" for parameter in indicator.parameters)
    message = f"{indicator.name} takes {'a series' if series == 'close' else 'two series'} first."
    return Fault(Reason.ARGUMENT, place, message, f"Write {indicator.name}({series}{rest}).")


def _after_columns(call: Call, indicator: Indicator) -> Sequence[Argument]:
    """The arguments without the columns, which may be written as in TA-Lib or left out."""
    leading = 0
    while leading < len(call.arguments):
        argument = call.arguments[leading]
        if argument.name is not None or literal(argument.value) is not None:
            break
        leading += 1
    written = [each.value for each in call.arguments[:leading]]
    for i, value in enumerate(written):
        expected = indicator.inputs[i] if i < len(indicator.inputs) else None
        if not (isinstance(value, Name) and value.text == expected):
            raise _columns_differ(indicator, value.span)
    if 0 < leading < len(indicator.inputs):
        raise _columns_differ(indicator, call.arguments[leading - 1].span)
    return call.arguments[leading:]


def _columns_differ(indicator: Indicator, place: Span) -> Fault:
    message = f"{indicator.name} reads the columns {', '.join(indicator.inputs)} of the bars and takes no others."
    parameters = ", ".join(str(each.default) for each in indicator.parameters)
    return Fault(Reason.ARGUMENT, place, message, f"Write {indicator.name}({parameters}).")


def _parameter(indicator: Indicator, argument: Argument, i: int) -> Parameter:
    names = ", ".join(each.name for each in indicator.parameters) or "none"
    if argument.name is None:
        if i < len(indicator.parameters):
            return indicator.parameters[i]
        message = f"{indicator.name} takes {len(indicator.parameters)} parameters: {names}."
        raise Fault(Reason.ARGUMENT, argument.span, message, "Remove this argument.")
    for parameter in indicator.parameters:
        if parameter.name == argument.name.text:
            return parameter
    message = f"{indicator.name} has no parameter {shown(argument.name.text)}."
    raise Fault(Reason.ARGUMENT, argument.name.span, message, f"Its parameters: {names}.")


def _value(parameter: Parameter, syntax: Syntax) -> int | float:
    value = integer(syntax) if parameter.type == "integer" else number(syntax)
    kind = "integer" if parameter.type == "integer" else "number"
    bounds = f"from {parameter.min} to {parameter.max}"
    if value is None:
        message = f"{parameter.name} must be a literal {kind}."
        raise Fault(Reason.ARGUMENT, syntax.span, message, f"Write {parameter.default}, or another {kind} {bounds}.")
    if not parameter.min <= value <= parameter.max:
        message = f"{parameter.name} is out of range."
        raise Fault(Reason.ARGUMENT, syntax.span, message, f"Write a literal {kind} {bounds}.")
    return value


def shown(name: str) -> str:
    """A name of the text, short enough for a message."""
    return name if len(name) <= 40 else f"{name[:40]}..."

"""How Go prints values: package fmt, verbs of `printf`."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

# Go switches to an exponent from 1e21 on where the precision is the shortest (strconv, %e is used if exp >= 21).
SHORTEST_EXPONENT: Final = 21
_VERB: Final = re.compile(r"%([-+# 0]*)(\d+)?(?:\.(\d+))?(.)?", re.DOTALL)
_FLOAT_VERBS: Final = frozenset("eEfFgG")
# Digits of a width or precision that fmt accepts at most (tooLarge); it also bounds what a template can print.
MOST_WIDTH: Final = 1_000


def number(value: float) -> str:
    """A float64 as `%v` prints it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(float(value))
    mantissa, _, exponent = text.partition("e")
    sign, mantissa = ("-", mantissa[1:]) if mantissa.startswith("-") else ("", mantissa)
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return sign + "0"
    # Position of the decimal point behind the first digit.
    leading = len(fraction) - len(fraction.lstrip("0")) if whole == "0" else 0
    power = int(exponent or 0) + (len(whole) - 1 if whole != "0" else -1 - leading)
    digits = digits.rstrip("0") or "0"
    if power < -4 or power >= SHORTEST_EXPONENT:
        rest = "." + digits[1:] if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{rest}e{power:+03d}"
    if power < 0:
        return f"{sign}0.{'0' * (-power - 1)}{digits}"
    digits = digits.ljust(power + 1, "0")
    rest = "." + digits[power + 1 :] if len(digits) > power + 1 else ""
    return f"{sign}{digits[: power + 1]}{rest}"


def general(value: float, digits: int = 4) -> str:
    """A float64 as `%.4g` prints it."""
    if math.isnan(value) or math.isinf(value):
        return number(value)
    return f"{value:.{digits}g}"


def shown(value: Any) -> str:  # noqa: ANN401  a value of a template
    """A value as `%v` prints it."""
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return number(value)
        case Mapping():
            return "map[" + " ".join(f"{name}:{value[name]}" for name in sorted(value)) + "]"
        case None:
            return "<no value>"
        case _:
            return str(value)


def formatted(pattern: str, values: Sequence[Any]) -> str:
    """`fmt.Sprintf`. A verb that does not fit its value prints as `%!d(float64=0.5)`, as in Go."""
    given = iter(values)
    left = len(values)

    def replaced(found: re.Match[str]) -> str:
        nonlocal left
        flags, width, precision, verb = found[1], found[2], found[3], found[4]
        if verb is None:
            return "%!(NOVERB)"
        if verb == "%":
            return "%"
        if not left:
            return f"%!{verb}(MISSING)"
        left -= 1
        value = next(given)
        if int(width or 0) > MOST_WIDTH or int(precision or 0) > MOST_WIDTH:
            return "%!(BADWIDTH)"
        return _padded(_verb(verb, flags, precision, value), flags, width)

    text = _VERB.sub(replaced, pattern)
    if left:
        text += "%!(EXTRA " + ", ".join(f"{_type(v)}={shown(v)}" for v in given) + ")"
    return text


def _verb(verb: str, flags: str, precision: str | None, value: Any) -> str:  # noqa: ANN401
    plus = "+" if "+" in flags else ""
    is_float = isinstance(value, float)
    is_int = isinstance(value, int) and not isinstance(value, bool)
    text: str | None = None
    if is_float and verb in _FLOAT_VERBS:
        text = _float(verb, plus, precision, value)
    elif verb == "v":
        text = plus + shown(value) if plus and (is_float or is_int) and value >= 0 else shown(value)
    elif isinstance(value, str) and verb in "sqxX":
        text = _text(verb, precision, value)
    elif is_int and verb in "dxXobc":
        text = chr(value) if verb == "c" else f"{value:{plus}{verb}}"
    elif (isinstance(value, bool) and verb == "t") or (isinstance(value, Mapping) and verb == "s"):
        text = shown(value)
    return text if text is not None else f"%!{verb}({_type(value)}={shown(value)})"


def _float(verb: str, plus: str, precision: str | None, value: float) -> str:
    if math.isnan(value) or math.isinf(value):
        return number(value)
    if precision is None and verb in "gG":
        text = number(value)
        text = text.upper() if verb == "G" else text
        return plus + text if plus and not text.startswith("-") else text
    return f"{value:{plus}.{precision or 6}{verb}}" if precision != "0" else f"{value:{plus}.0{verb}}"


def _text(verb: str, precision: str | None, value: str) -> str:
    cut = value if precision is None else value[: int(precision)]
    if verb == "q":
        escaped = cut.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        return f'"{escaped}"'
    return cut if verb == "s" else (cut.encode().hex() if verb == "x" else cut.encode().hex().upper())


def _padded(text: str, flags: str, width: str | None) -> str:
    if not width:
        return text
    if "-" in flags:
        return text.ljust(int(width))
    if "0" in flags and text[:1] in "+-" and text[1:2].isdigit():
        return text[0] + text[1:].rjust(int(width) - 1, "0")
    return text.rjust(int(width), "0" if "0" in flags and text[:1].isdigit() else " ")


def _type(value: Any) -> str:  # noqa: ANN401
    match value:
        case bool():
            return "bool"
        case float():
            return "float64"
        case int():
            return "int"
        case str():
            return "string"
        case _:
            return "map[string]string"

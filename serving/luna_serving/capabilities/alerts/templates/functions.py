"""The functions of templates, as Prometheus' `template/template.go` and Go's `text/template` define them."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from luna_serving.capabilities.alerts.templates import regular
from luna_serving.capabilities.alerts.templates.printing import formatted, general, shown

LARGE: Final = ("k", "M", "G", "T", "P", "E", "Z", "Y")
BINARY: Final = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
SMALL: Final = ("m", "u", "n", "p", "f", "a", "z", "y")
_FLOAT: Final = re.compile(r"[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|inf(inity)?|nan)", re.IGNORECASE)
_DURATION: Final = re.compile(r"(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m(?!s))?(\d+s)?(\d+ms)?")
_SECONDS: Final = (31_536_000.0, 604_800.0, 86_400.0, 3_600.0, 60.0, 1.0, 0.001)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class TemplateFailed(Exception):
    """A template cannot be rendered with these values; the text takes the place of its output."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function with how many arguments it takes."""

    call: Callable[..., Any]
    least: int
    most: int | None
    """None: any number."""


def to_float(value: Any) -> float:  # noqa: ANN401  a value of a template
    """A number, or a text that is one."""
    if isinstance(value, str):
        if not _FLOAT.fullmatch(value):
            raise TemplateFailed(f"{value!r} is not a number")
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TemplateFailed(f"can't convert {shown(value)} to float")
    return float(value)


def _scaled(value: float, units: tuple[str, ...], factor: float) -> str:
    unit = ""
    for each in units:
        if abs(value) < factor:
            break
        unit, value = each, value / factor
    return general(value) + unit


def _small(value: float) -> tuple[float, str]:
    unit = ""
    for each in SMALL:
        if abs(value) >= 1:
            break
        unit, value = each, value * 1000
    return value, unit


def humanize(of: Any) -> str:  # noqa: ANN401
    """With metric prefixes."""
    value = to_float(of)
    if value == 0 or not math.isfinite(value):
        return general(value)
    if abs(value) >= 1:
        return _scaled(value, LARGE, 1000.0)
    value, unit = _small(value)
    return general(value) + unit


def humanize1024(of: Any) -> str:  # noqa: ANN401
    """With binary prefixes."""
    value = to_float(of)
    if abs(value) <= 1 or not math.isfinite(value):
        return general(value)
    return _scaled(value, BINARY, 1024.0)


def humanize_duration(of: Any) -> str:  # noqa: ANN401
    """Seconds as days, hours, minutes and seconds."""
    value = to_float(of)
    if not math.isfinite(value):
        return general(value)
    if value == 0:
        return "0s"
    if abs(value) < 1:
        value, unit = _small(value)
        return f"{general(value)}{unit}s"
    sign, value = ("-", -value) if value < 0 else ("", value)
    whole = int(value)
    seconds, minutes, hours, days = whole % 60, whole // 60 % 60, whole // 3600 % 24, whole // 86_400
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    return f"{sign}{minutes}m {seconds}s" if minutes else f"{sign}{general(value)}s"


def humanize_percentage(of: Any) -> str:  # noqa: ANN401
    """A ratio as a percentage."""
    return general(to_float(of) * 100) + "%"


def humanize_timestamp(of: Any) -> str:  # noqa: ANN401
    """Unix seconds as Go prints a time in UTC."""
    value = to_float(of)
    if not math.isfinite(value):
        return general(value)
    try:
        moment = EPOCH + timedelta(milliseconds=round(value * 1000))
    except OverflowError:
        raise TemplateFailed(f"{general(value)} cannot be represented as a timestamp") from None
    fraction = f".{moment.microsecond:06d}".rstrip("0").rstrip(".")
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"


def title(of: Any) -> str:  # noqa: ANN401
    """The first letter of each word in upper case, the others as they are."""
    return re.sub(r"(?<![\w'])\w", lambda found: found[0].upper(), _text(of))


def parse_duration(of: Any) -> float:  # noqa: ANN401
    """A duration of Prometheus in seconds."""
    found = _DURATION.fullmatch(_text(of))
    if found is None or not found[0]:
        raise TemplateFailed(f"not a valid duration string: {_text(of)!r}")
    parts = zip(found.groups(), _SECONDS, strict=True)
    return sum(float(re.sub(r"\D", "", part)) * unit for part, unit in parts if part)


def re_replace_all(pattern: Any, replacement: Any, of: Any) -> str:  # noqa: ANN401
    """All matches of an expression replaced."""
    try:
        return regular.replaced(_text(pattern), _text(replacement), _text(of))
    except regular.PatternWrong as e:
        raise TemplateFailed(str(e)) from e
    except regular.TextTooLong as e:
        raise TemplateFailed("the text that reReplaceAll makes is too long") from e


def match(pattern: Any, of: Any) -> bool:  # noqa: ANN401
    """Whether an expression matches some part."""
    try:
        return regular.found_in(_text(pattern), _text(of))
    except regular.PatternWrong as e:
        raise TemplateFailed(str(e)) from e


def index(of: Any, *keys: Any) -> Any:  # noqa: ANN401
    """`index $labels "x"`."""
    for key in keys:
        if not isinstance(of, Mapping) or not isinstance(key, str):
            raise TemplateFailed("index takes labels and the name of one")
        of = of.get(key, "")
    return of


def length(of: Any) -> int:  # noqa: ANN401
    """Bytes of a text, entries of labels."""
    if isinstance(of, str):
        return len(of.encode())
    if isinstance(of, Mapping):
        return len(of)
    raise TemplateFailed(f"len of {shown(of)}")


def is_true(value: Any) -> bool:  # noqa: ANN401
    """Whether `if` takes a value as true: anything but false, 0, and what is empty."""
    return bool(value) if not isinstance(value, float) else value != 0 or math.isnan(value)


def _text(of: Any) -> str:  # noqa: ANN401
    if not isinstance(of, str):
        raise TemplateFailed(f"wants a text, not {shown(of)}")
    return of


def _compared(of: Any, other: Any) -> tuple[Any, Any]:  # noqa: ANN401
    if isinstance(of, bool) is not isinstance(other, bool) or type(of) is not type(other):
        raise TemplateFailed("incompatible types for comparison")
    return of, other


def _less(of: Any, other: Any) -> bool:  # noqa: ANN401
    left, right = _compared(of, other)
    if isinstance(left, bool | Mapping):
        raise TemplateFailed("invalid type for comparison")
    return bool(left < right)


def _equal(of: Any, *others: Any) -> bool:  # noqa: ANN401
    return any(_compared(of, other)[0] == other for other in others)


def _not_equal(of: Any, other: Any) -> bool:  # noqa: ANN401
    left, right = _compared(of, other)
    return bool(left != right)


def _first(of: Any, *others: Any, wanted: bool) -> Any:  # noqa: ANN401
    return next((each for each in (of, *others) if is_true(each) is wanted), (of, *others)[-1])


def _joined(*values: Any) -> str:  # noqa: ANN401
    """`fmt.Sprint`: spaces between operands where neither is a text."""
    parts: list[str] = []
    for i, value in enumerate(values):
        if i and not isinstance(value, str) and not isinstance(values[i - 1], str):
            parts.append(" ")
        parts.append(shown(value))
    return "".join(parts)


FUNCTIONS: Final[Mapping[str, Function]] = {
    "humanize": Function(humanize, 1, 1),
    "humanize1024": Function(humanize1024, 1, 1),
    "humanizeDuration": Function(humanize_duration, 1, 1),
    "humanizePercentage": Function(humanize_percentage, 1, 1),
    "humanizeTimestamp": Function(humanize_timestamp, 1, 1),
    "title": Function(title, 1, 1),
    "toUpper": Function(lambda of: _text(of).upper(), 1, 1),
    "toLower": Function(lambda of: _text(of).lower(), 1, 1),
    "stripPort": Function(lambda of: re.sub(r"(.*):\d*\Z", r"\1", _text(of), flags=re.DOTALL), 1, 1),
    "stripDomain": Function(lambda of: re.sub(r"\A([^.:\d][^.:]*)\.[^:]*", r"\1", _text(of)), 1, 1),
    "parseDuration": Function(parse_duration, 1, 1),
    "reReplaceAll": Function(re_replace_all, 3, 3),
    "match": Function(match, 2, 2),
    "printf": Function(lambda pattern, *values: formatted(_text(pattern), values), 1, None),
    "print": Function(_joined, 0, None),
    "println": Function(lambda *values: " ".join(shown(each) for each in values) + "\n", 0, None),
    "index": Function(index, 1, None),
    "len": Function(length, 1, 1),
    "and": Function(lambda of, *others: _first(of, *others, wanted=False), 1, None),
    "or": Function(lambda of, *others: _first(of, *others, wanted=True), 1, None),
    "not": Function(lambda of: not is_true(of), 1, 1),
    "eq": Function(_equal, 2, None),
    "ne": Function(_not_equal, 2, 2),
    "lt": Function(_less, 2, 2),
    "le": Function(lambda of, other: _less(of, other) or _equal(of, other), 2, 2),
    "gt": Function(lambda of, other: not (_less(of, other) or _equal(of, other)), 2, 2),
    "ge": Function(lambda of, other: not _less(of, other), 2, 2),
}

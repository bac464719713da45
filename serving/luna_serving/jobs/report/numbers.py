"""Numbers as people read them: on axes, in tables, in key figures."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

MISSING: Final = "\N{EN DASH}"
MINUS: Final = "\N{MINUS SIGN}"
# Beyond these, plain digits are harder to read than an exponent.
LEAST_PLAIN: Final = 1e-4
MOST_PLAIN: Final = 1e9
# What a tick may be a multiple of (Heckbert, "Nice Numbers for Graph Labels", Graphics Gems, 1990).
STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)


def number(value: float | None, digits: int = 4) -> str:
    """A number with so many significant digits; whole numbers have all of theirs."""
    if value is None or not math.isfinite(value):
        return MISSING
    if isinstance(value, int) or (value == int(value) and abs(value) < MOST_PLAIN):
        return f"{int(value):,}".replace("-", MINUS)
    if not LEAST_PLAIN <= abs(value) < MOST_PLAIN:
        return _exponent(f"{value:.{digits - 1}e}")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return _plain(f"{value:,.{decimals}f}")


def instant(at: datetime) -> str:
    """A time to the second, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _plain(written: str) -> str:
    if "." in written:
        written = written.rstrip("0").rstrip(".")
    return written.replace("-", MINUS)


def _exponent(written: str) -> str:
    mantissa, _, exponent = written.partition("e")
    return f"{_plain(mantissa)}e{int(exponent)}".replace("-", MINUS)


def seconds(value: float | None) -> str:
    """A duration."""
    if value is None:
        return MISSING
    if value < 1:
        return f"{round(value * 1000)} ms"
    if value < 60:
        return f"{value:.1f} s"
    whole = round(value)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {whole % 60} s"


def size(count: int) -> str:
    """A number of bytes."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{number(value, 3)} {unit}"


def ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers that cover the span from `low` to `high`, about so many."""
    if not high > low:
        pad = abs(low) * 0.5 or 1.0
        low, high = low - pad, high + pad
    raw = (high - low) / max(1, about)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(each * power for each in STEPS if each * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, last + 1)]


def labels(marks: Sequence[float]) -> list[str]:
    """Ticks as text, with as many decimals as tell them apart."""
    step = min((b - a for a, b in pairwise(marks)), default=1.0)
    most = max((abs(each) for each in marks), default=0.0)
    if most >= MOST_PLAIN or (most and most < LEAST_PLAIN):
        return [_exponent(f"{each:.2e}") if each else "0" for each in marks]
    decimals = next((d for d in range(9) if abs(step * 10**d - round(step * 10**d)) < 1e-6), 9)
    return [f"{each + 0.0:,.{decimals}f}".replace("-", MINUS) for each in marks]

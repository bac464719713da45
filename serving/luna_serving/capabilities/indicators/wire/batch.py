"""Reads the body of `POST /indicators`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from luna_serving.capabilities.indicators.jobs.batches import InlineBars
from luna_serving.capabilities.indicators.wire.inline import read_bars
from luna_serving.capabilities.indicators.wire.query import symbol_is_possible
from luna_serving.capabilities.indicators.wire.schemas import IndicatorsForm, IndicatorsRequest
from luna_serving.capabilities.indicators.wire.windows import Frame, frame_of
from luna_serving.wire import problems
from luna_serving.wire.documents import SPARE_LISTS, read_object
from luna_serving.wire.forms import read_form
from luna_serving.wire.problems import FieldError

BARS: Final = "bars"
BENCHMARK_BARS: Final = "benchmark_bars"


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """See `IndicatorSettings`."""

    max_symbols: int
    max_indicators: int
    max_bars: int
    max_answer_numbers: int


@dataclass(frozen=True, slots=True)
class BatchCall:
    """A body that was understood; its names are not looked up."""

    form: IndicatorsForm
    ids: Sequence[str]
    """Of the indicators, in order."""
    frame: Frame
    bars: InlineBars | None
    benchmark_bars: InlineBars | None


def parse_batch(body: bytes, limits: BatchLimits, *, sweep: bool = False) -> BatchCall:
    """Read a body; that of a sweep need not name symbols.

    Raises:
        Problem: 422, for what concerns the whole request.
    """
    document = read_object(body, BARS, SPARE_LISTS)
    inline = (BARS, BENCHMARK_BARS)
    members = {name: value for name, value in document.items() if name not in inline}
    form = read_form(IndicatorsForm, members)
    bars = None if document.get(BARS) is None else read_bars(document[BARS], f"/{BARS}", limits.max_bars)
    second = document.get(BENCHMARK_BARS)
    benchmark = None if second is None else read_bars(second, f"/{BENCHMARK_BARS}", limits.max_bars)
    _check_source(form, bars, benchmark, sweep=sweep)
    _check_sizes(form, limits)
    frame = frame_of(lambda name: getattr(form, name), "")
    return BatchCall(form, _ids(form), frame, bars, benchmark)


def _check_source(form: IndicatorsForm, bars: InlineBars | None, benchmark: InlineBars | None, *, sweep: bool) -> None:
    if not sweep and bars is None and form.symbols is None and form.dataset is None:
        raise problems.invalid(FieldError("/symbols", "Give symbols, bars or a dataset."))
    if bars is not None and (form.symbols is not None or form.dataset is not None):
        other = "symbols" if form.symbols is not None else "dataset"
        raise problems.invalid(FieldError(f"/{BARS}", f"Give either bars or {other}."))
    if bars is None and benchmark is not None:
        raise problems.invalid(FieldError(f"/{BENCHMARK_BARS}", "Goes with bars; with symbols, name a benchmark."))
    if bars is not None and form.as_of is not None:
        raise problems.invalid(FieldError("/as_of", "Is for stored prices: leave it out with bars."))


def _check_sizes(form: IndicatorsForm, limits: BatchLimits) -> None:
    if len(form.indicators) > limits.max_indicators:
        wrong = f"Holds {len(form.indicators)} indicators; at most {limits.max_indicators} are taken. Split the call."
        raise problems.invalid(FieldError("/indicators", wrong))
    symbols = form.symbols or ()
    if len(symbols) > limits.max_symbols:
        wrong = (
            f"Holds {len(symbols)} symbols; at most {limits.max_symbols} are taken. Split the call, or create a job."
        )
        raise problems.invalid(FieldError("/symbols", wrong))
    seen: set[str] = set()
    for i, symbol in enumerate(symbols):
        if symbol in seen:
            raise problems.invalid(FieldError(f"/symbols/{i}", f"Stands here twice: {symbol[:64]!r}. Name it once."))
        if not symbol_is_possible(symbol):
            raise problems.invalid(FieldError(f"/symbols/{i}", "Must be 1 to 64 printable characters without spaces."))
        seen.add(symbol)


def _ids(form: IndicatorsForm) -> list[str]:
    ids: list[str] = []
    for i, each in enumerate(form.indicators):
        name = each.name if each.id is None else each.id
        if name in ids:
            raise problems.invalid(
                FieldError(
                    f"/indicators/{i}/id", f"{name[:64]!r} names another one of the request: give it an id of its own."
                )
            )
        ids.append(name)
    return ids


__all__ = ["BatchCall", "BatchLimits", "IndicatorsRequest", "parse_batch"]

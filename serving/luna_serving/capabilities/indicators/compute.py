"""What a replica's threads do: histories of tasks, and whole answers of batches. The formulas release the lock."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor

from luna_serving.capabilities.indicators.jobs.batches import Batch, InlineBars, Instrument, Order
from luna_serving.capabilities.indicators.jobs.histories import History
from luna_serving.capabilities.indicators.jobs.tasks import Formula
from luna_serving.capabilities.indicators.prepared import prepared
from luna_serving.capabilities.indicators.rendering.answers import rendered
from luna_serving.capabilities.indicators.rendering.pieces import Label, Piece
from luna_serving.engines.indicators.bars import Bars
from luna_serving.engines.indicators.compute import finite
from luna_serving.prices.located import Located

log = logging.getLogger("luna.indicators")


def history_of(formula: Formula, bars: Bars, benchmark: Bars | None = None) -> History:
    """The values of a formula over all bars.

    Raises:
        InputMissing: the bars lack a column that it reads; the caller has checked inline bars.
    """
    ready = prepared(formula)
    lines = ready.lines(bars, benchmark)
    values = {name: finite(line) for name, line in zip(ready.outputs, lines, strict=True)}
    return History(bars.timestamps, values, ready.lookback, ready.stability)


def answer_of(batch: Batch, bars: Sequence[Bars], benchmarks: Mapping[str, Bars], pool: Executor) -> bytes:
    """The body of an answer.

    Args:
        batch: what was asked for.
        bars: of its instruments, in order.
        benchmarks: by the order's id.
        pool: threads; a task of it is all indicators of one instrument.
    """

    def of_instrument(place: int) -> list[Piece]:
        return [_piece(batch, place, order, bars[place], benchmarks.get(order.id)) for order in batch.orders]

    pieces = [piece for each in pool.map(of_instrument, range(len(bars))) for piece in each]
    return rendered(pieces, batch.errors, batch.form)


def bars_of(inline: InlineBars) -> Bars:
    """Bars of a request, which have been checked."""
    return Bars(inline.timestamps, **inline.columns)


def label_of(order: Order, instrument: Instrument, adjust: str) -> Label:
    """What an answer says of an indicator of an instrument."""
    if isinstance(instrument, InlineBars):
        return Label(order.id, None, order.formula.name, order.params, "none", None, None, intraday=instrument.intraday)
    return Label(
        order.id,
        instrument.symbol,
        order.formula.name,
        order.params,
        adjust,
        instrument.data_version,
        instrument.last_bar_closed,
        intraday=instrument.interval.intraday,
        dataset=None if instrument.dataset is None else instrument.dataset.as_dict(),
    )


def _piece(batch: Batch, place: int, order: Order, bars: Bars, benchmark: Bars | None) -> Piece:
    instrument = batch.instruments[place]
    history = history_of(order.formula, bars, benchmark)
    shown = batch.window.cut(history, instrument if isinstance(instrument, Located) else None)
    label = label_of(order, instrument, batch.adjust)
    if shown.stop - shown.start == len(history):
        return Piece(label, history, shown)
    # A batch holds all its pieces until it is rendered: 200,000 of them, each of decades for the sake of a week.
    return Piece(label, history.only(shown), slice(0, shown.stop - shown.start), before=shown.start)

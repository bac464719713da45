"""From a body of `POST /indicators` to a batch: names looked up, grants checked, each item right or with its error."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from luna_serving.capabilities.indicators.calls.definitions import Definitions
from luna_serving.capabilities.indicators.calls.places import Places
from luna_serving.capabilities.indicators.jobs.batches import Batch, Instrument, Order
from luna_serving.capabilities.indicators.jobs.windows import Miss, Window
from luna_serving.capabilities.indicators.wire.batch import BARS, BatchCall
from luna_serving.capabilities.indicators.wire.formulas import (
    BENCHMARK,
    CAPABILITY,
    READING,
    Asked,
    asked_custom,
    asked_for,
    benchmark_missing,
    custom_name,
)
from luna_serving.capabilities.indicators.wire.items import ItemInvalid, unknown_indicator, unknown_symbol
from luna_serving.prices.located import Located
from luna_serving.prices.sources import BarsReference, PriceSources
from luna_serving.wire import problems
from luna_serving.wire.pointers import MAX_ERRORS
from luna_serving.wire.problems import FieldError, Problem
from luna_store.quota.debits import Grant

Granted = Callable[[Sequence[Grant]], Awaitable[Mapping[Grant, bool]]]
"""Whether the account has each of some grants. Raises Problem."""
NOT_ALLOWED: Final = "not-allowed"
NOT_FOUND: Final = "not-found"


@dataclass(frozen=True, slots=True)
class Resolving:
    """Looks names up."""

    places: Places
    prices: PriceSources
    definitions: Definitions

    async def batch(
        self, account_id: int, call: BatchCall, form: str, history_days: int | None, granted: Granted
    ) -> Batch:
        """The items that can be answered, and the errors of the others.

        Raises:
            Problem: 403, 404 or 422 where none can be answered; 503.
        """
        asked = await self._asked(account_id, call)
        found, unknown = await self._instruments(account_id, call)
        await _check_grants(asked, granted, reading=any(isinstance(each, Located) and not each.own for each in found))
        orders = await self._orders(account_id, call, asked)
        symbols = [_symbol(each) for each in found]
        errors: list[Miss] = []
        for symbol, error in unknown.items():
            pointer = f"/symbols/{(call.form.symbols or ()).index(symbol)}"
            errors += [error.miss(id_, symbol, pointer) for id_ in call.ids]
        for i, (id_, order) in enumerate(zip(call.ids, orders, strict=True)):
            if isinstance(order, ItemInvalid):
                errors += [order.miss(id_, symbol, f"/indicators/{i}") for symbol in symbols]
        good = [order for order in orders if isinstance(order, Order)]
        if not good or not found:
            raise _problem(
                errors or [each.miss(id_, None, f"/indicators/{i}") for i, (id_, each) in _wrong(call, orders)]
            )
        window = Window(call.frame.window.start, call.frame.window.end, history_days)
        return Batch(tuple(found), tuple(good), call.frame.adjust, window, form, tuple(errors))

    async def _asked(self, account_id: int, call: BatchCall) -> list[Asked | ItemInvalid]:
        """Each indicator, checked."""
        own = [name for each in call.form.indicators if (name := custom_name(each.name)) is not None]
        texts = await self.definitions.texts(account_id, own)
        checked: list[Asked | ItemInvalid] = []
        gaps = call.frame.gaps.value
        for each in call.form.indicators:
            name = custom_name(each.name)
            try:
                if name is None:
                    checked.append(asked_for(each.name, each.params, gaps, call.form.benchmark))
                elif name in texts:
                    checked.append(asked_custom(each.name, texts[name], each.params, gaps))
                else:
                    raise unknown_indicator(each.name)
            except ItemInvalid as e:
                checked.append(e)
        return checked

    async def _instruments(
        self, account_id: int, call: BatchCall
    ) -> tuple[Sequence[Instrument], Mapping[str, ItemInvalid]]:
        """The instruments that there are, and the errors of the symbols of the others."""
        if call.bars is not None:
            return [call.bars], {}
        frame, symbols = call.frame, call.form.symbols
        if call.form.dataset is not None:
            chosen = None if symbols is None else tuple(symbols)
            interval = None if call.form.interval is None else frame.interval
            reference = BarsReference(call.form.dataset, chosen, interval)
            return await self.prices.locate_dataset(account_id, reference, ""), {}
        found = await self.places.find(account_id, symbols or (), frame.interval, frame.as_of)
        missing = [symbol for symbol in symbols or () if symbol not in found]
        known = [found[symbol] for symbol in symbols or () if symbol in found]
        near = await self.places.near(account_id, missing, frame.interval, frame.as_of)
        unknown = {each: unknown_symbol(each, frame.interval.value, frame.as_of, near.get(each)) for each in missing}
        return known, unknown

    async def _orders(
        self, account_id: int, call: BatchCall, asked: Sequence[Asked | ItemInvalid]
    ) -> list[Order | ItemInvalid]:
        """The indicators with their benchmarks; inline bars have the columns that they read."""
        symbols = {each.benchmark for each in asked if isinstance(each, Asked) and each.benchmark is not None}
        found: Mapping[str, Located] = {}
        if symbols and call.bars is None:
            found = await self.places.find(account_id, sorted(symbols), call.frame.interval, call.frame.as_of)
        orders: list[Order | ItemInvalid] = []
        for id_, each in zip(call.ids, asked, strict=True):
            try:
                if isinstance(each, ItemInvalid):
                    raise each
                benchmark = _benchmark(call, each, found)
                if call.bars is not None:
                    _check_columns(call, each)
                orders.append(Order(id_, each.formula, each.params, benchmark))
            except ItemInvalid as e:
                orders.append(e)
        return orders


async def _check_grants(asked: list[Asked | ItemInvalid], granted: Granted, *, reading: bool) -> None:
    """Replace indicators that the account may not use by their errors.

    Args:
        asked: in order.
        granted: tells what it may use.
        reading: whether prices of the server's market are read.
    """
    needed = [_needed(each, reading=reading) if isinstance(each, Asked) else () for each in asked]
    grants = dict.fromkeys(grant for each in needed for grant in each)
    if not grants:
        return
    may = await granted(list(grants))
    for i, each in enumerate(needed):
        if denied := next((grant for grant in each if not may[grant]), None):
            detail = problems.not_allowed(denied.capability, denied.name).detail
            asked[i] = ItemInvalid(NOT_ALLOWED, 403, detail, "name")


def _needed(asked: Asked, *, reading: bool) -> Sequence[Grant]:
    if asked.grants:
        return [Grant(CAPABILITY, name) for name in asked.grants]
    return [READING] if reading else ()


def _benchmark(call: BatchCall, asked: Asked, found: Mapping[str, Located]) -> Instrument | None:
    if not asked.needs_benchmark:
        return None
    if call.bars is not None:
        if call.benchmark_bars is None:
            detail = f"{asked.formula.name} compares with a second instrument: send its bars as benchmark_bars."
            raise ItemInvalid("invalid", 422, detail, "name")
        return call.benchmark_bars
    if asked.benchmark is None:
        raise benchmark_missing(asked.formula.name)
    if asked.benchmark not in found:
        raise ItemInvalid(
            NOT_FOUND, 404, f"There are no prices of the benchmark {asked.benchmark[:64]!r}.", "params", BENCHMARK
        )
    return found[asked.benchmark]


def _check_columns(call: BatchCall, asked: Asked) -> None:
    assert call.bars is not None  # noqa: S101  the caller has looked
    for bars, at in ((call.bars, BARS), (call.benchmark_bars, "benchmark_bars")):
        if bars is None or (at != BARS and not asked.needs_benchmark):
            continue
        missing = sorted(asked.inputs - bars.columns.keys())
        if missing:
            detail = f"{asked.formula.name} reads {', '.join(missing)}: send them in {at}."
            raise ItemInvalid("invalid", 422, detail, "name")


def _symbol(instrument: Instrument) -> str | None:
    return instrument.symbol if isinstance(instrument, Located) else None


def _wrong(call: BatchCall, orders: Sequence[Order | ItemInvalid]) -> list[tuple[int, tuple[str, ItemInvalid]]]:
    return [
        (i, (id_, order))
        for i, (id_, order) in enumerate(zip(call.ids, orders, strict=True))
        if isinstance(order, ItemInvalid)
    ]


def _problem(errors: Sequence[Miss]) -> Problem:
    """The answer where no item is good: of the one reason, or 422 for several. Each reason is listed once."""
    errors = list({(each.pointer, each.detail): each for each in reversed(errors)}.values())[::-1]
    statuses = {each.status for each in errors}
    if statuses == {404}:
        problem = problems.not_found(errors[0].detail if len(errors) == 1 else "None of the items was found.")
    elif statuses == {403}:
        first = errors[0]
        problem = Problem(NOT_ALLOWED, 403, "The account may not use these indicators.", first.detail)
    else:
        return problems.invalid(*(FieldError(each.pointer or "/symbols", each.detail) for each in errors[:MAX_ERRORS]))
    shown = [each.as_dict() | {"pointer": each.pointer or "/symbols"} for each in errors[:MAX_ERRORS]]
    return Problem(problem.slug, problem.status, problem.title, problem.detail, problem.headers, {"errors": shown})

"""The prices that `luna up` comes with: daily bars of five companies, public domain, from the package bokeh-sampledata.

The bars are as they were traded. The package has a column of fully adjusted closes, too; from its ratio to the close
follow the ex-dates and amounts of the dividends. Splits are known. Run as a module by `luna up`, in a process of its
own: it ends with a line that says what it did.
"""

import asyncio
import csv
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

from luna_serving.prices.located import ActionKind, CorporateAction
from luna_store.audit.actors import command
from luna_store.platform.postgres import async_engine
from luna_store.prices import reading

SYMBOLS: Final = {
    "AAPL": ("Apple Inc.", "NASDAQ"),
    "FB": ("Facebook, Inc.", "NASDAQ"),
    "GOOG": ("Google Inc.", "NASDAQ"),
    "IBM": ("International Business Machines Corporation", "NYSE"),
    "MSFT": ("Microsoft Corporation", "NASDAQ"),
}
SPLITS: Final = {
    "AAPL": {date(2000, 6, 21): 2.0, date(2005, 2, 28): 2.0},
    "MSFT": {date(2003, 2, 18): 2.0},
}
# The column of adjusted closes has 13 digits; the smallest dividend is a thousandth of the price.
NOISE: Final = 1e-6
COLUMNS: Final = ("open", "high", "low", "close", "volume")

Stock = dict[str, Any]


def actions_of(symbol: str, stock: Stock) -> Sequence[CorporateAction]:
    """The corporate actions of a company.

    If no action falls between two bars, adjusted and traded closes have the same ratio on both. A split of r multiplies
    it by r, a dividend D after a close C by 1 / (1 - D / C).
    """
    splits = SPLITS.get(symbol, {})
    found = [CorporateAction(day, ActionKind.SPLIT, ratio) for day, ratio in splits.items()]
    ratios = [adjusted / close for adjusted, close in zip(stock["adj_close"], stock["close"], strict=True)]
    for at in range(1, len(ratios)):
        day = date.fromisoformat(stock["date"][at])
        factor = ratios[at] / ratios[at - 1] / splits.get(day, 1.0)
        if abs(factor - 1) > NOISE:
            amount = round(stock["close"][at - 1] * (1 - 1 / factor), 6)
            found.append(CorporateAction(day, ActionKind.DIVIDEND, amount))
    return sorted(found, key=lambda each: (each.ex_date, each.kind))


def write(folder: Path, stocks: dict[str, Stock]) -> tuple[Path, Path, Path]:
    """Write the files that an import reads: bars, symbols and corporate actions."""
    bars, symbols, actions = (folder / f"{name}.csv" for name in ("bars", "symbols", "actions"))
    _write(bars, ("symbol", "date", *COLUMNS), _bars(stocks))
    facts = [(symbol, name, exchange, "USD", "stock") for symbol, (name, exchange) in SYMBOLS.items()]
    _write(symbols, ("symbol", "name", "exchange", "currency", "type"), facts)
    rows = [
        (symbol, each.ex_date, each.kind.value, each.value)
        for symbol, stock in stocks.items()
        for each in actions_of(symbol, stock)
    ]
    _write(actions, ("symbol", "ex_date", "kind", "value"), rows)
    return bars, symbols, actions


def stocks() -> dict[str, Stock]:
    """The package's data.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    from bokeh_sampledata import stocks as package

    return {symbol: getattr(package, symbol) for symbol in SYMBOLS}


def _bars(given: dict[str, Stock]) -> Iterator[Sequence[Any]]:
    for symbol, stock in given.items():
        for row in zip(stock["date"], *(stock[name] for name in COLUMNS), strict=True):
            yield (symbol, *row)


def _write(path: Path, header: Sequence[str], rows: Any) -> None:  # noqa: ANN401  an iterable of rows
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


async def _has_market(database_url: str) -> bool:
    engine = async_engine(database_url, actor=command(), pool_size=1)
    try:
        return await reading.newest(engine) is not None
    finally:
        await engine.dispose()


async def import_demo(database_url: str, objects: dict[str, str]) -> str:
    """Import the prices, unless the server has a market, whatever is in it; returns what was done."""
    if await _has_market(database_url):
        return ""
    try:
        given = stocks()
    except ModuleNotFoundError:
        return "No demo prices: pip install 'luna[local]', which has bokeh-sampledata"
    # Imported late: a later start needs none of it.
    from luna_serving.capabilities.market.importing.publishing import Order
    from luna_serving.capabilities.market.importing.stores import import_into
    from luna_store.prices.publishing import MarketChanged

    with tempfile.TemporaryDirectory(prefix="luna-demo-") as temporary:
        bars, symbols, actions = write(Path(temporary), given)
        try:
            imported = await import_into(database_url, objects, Order([bars], symbols=symbols, actions=actions))
        except MarketChanged:
            return ""
    return f"Demo prices: {imported.bars:,} daily bars of {', '.join(SYMBOLS)}"


def main() -> int:
    """Import with the environment's DATABASE_URL and S3_ variables."""
    objects = {name: value for name, value in os.environ.items() if name.startswith("S3_")}
    said = asyncio.run(import_demo(os.environ["DATABASE_URL"], objects))
    sys.stdout.write(f"{said}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

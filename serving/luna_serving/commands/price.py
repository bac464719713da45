"""`luna price`: prices, Greeks and implied volatilities of options, from arguments or a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from luna_serving.commands.calculations import add_calculation, body_of, over
from luna_serving.commands.errors import CommandFailed

if TYPE_CHECKING:
    import argparse

NUMBERS: Final = ("spot", "forward", "strike", "rate", "dividend-yield", "volatility", "price")
DAY_COUNTS: Final = ("act/365", "act/360", "act/act", "30/360")
# Rows that are printed for people.
MOST_ROWS: Final = 50


def add_price(commands: argparse._SubParsersAction[argparse.ArgumentParser], folder: argparse.ArgumentParser) -> None:
    """Add the parser of `luna price`."""
    text = "prices, Greeks and implied volatilities of options"
    parser = add_calculation(commands, folder, "price", text, "blackscholes", wanted, shown)
    parser.add_argument("type", nargs="*", metavar="TYPE", help="call or put, one or one per row")
    for name in NUMBERS:
        parser.add_argument(f"--{name}", type=float, nargs="+", metavar="X", help="one, or one per row")
    parser.add_argument("--expiry", nargs="+", metavar="T", help="years, or dates with --valuation-date")
    parser.add_argument("--valuation-date", metavar="DATE", help="the day from which dates count")
    parser.add_argument("--day-count", choices=DAY_COUNTS, help="(default: act/365)")
    parser.add_argument("--style", choices=("european", "american"), help="(default: european)")
    parser.add_argument("--outputs", metavar="A,B", help="such as price,delta,gamma (default: price)")


def wanted(arguments: argparse.Namespace) -> dict[str, Any]:
    """The body of the route: that of the file, with the arguments over it.

    Raises:
        CommandFailed: the file cannot be read; or there are no options.
    """
    document = body_of(arguments)
    options = dict(document.get("options") or {})
    if arguments.type:
        options["type"] = _one_or_list(arguments.type)
    for name in NUMBERS:
        member = name.replace("-", "_")
        if (given := getattr(arguments, member)) is not None:
            options[member] = _one_or_list(given)
    if arguments.expiry is not None:
        options["expiry"] = _one_or_list([_years_or_date(each) for each in arguments.expiry])
    over(options, arguments, ("valuation_date", "day_count"))
    if not options:
        raise CommandFailed("There are no options: name a type and columns, or a --file.")
    document["options"] = options
    over(document, arguments, ("style",))
    if arguments.outputs is not None:
        document["outputs"] = [each.strip() for each in arguments.outputs.split(",")]
    return document


def shown(answer: dict[str, Any]) -> str:
    """An answer for people: a line per row."""
    results, codes = answer["results"], answer["codes"]
    heads = [*results, "code"]
    rows = [
        [*("-" if column[i] is None else f"{column[i]:.10g}" for column in results.values()), codes[i] or ""]
        for i in range(min(len(codes), MOST_ROWS))
    ]
    widths = [max(len(line[j]) for line in [heads, *rows]) for j in range(len(heads))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in [heads, *rows]]
    more = [f"({len(codes)} rows; --json shows all)"] if len(codes) > MOST_ROWS else []
    return "\n".join([line.rstrip() for line in lines] + more)


def _one_or_list(values: list[Any]) -> Any:  # noqa: ANN401  JSON
    return values[0] if len(values) == 1 else values


def _years_or_date(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text

"""Reads the small files of an import: what instruments are, and their corporate actions. CSV with a header."""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from luna_serving.capabilities.market.importing.refusals import MOST_SHOWN, ImportRefused, Wrong
from luna_serving.prices.located import ActionKind, CorporateAction

FACTS: Final = ("name", "exchange", "currency", "type")
LONGEST_FACT: Final = 200
# Beyond any split that ever was; a typing error is nearer.
MOST_RATIO: Final = 1e6


@dataclass(frozen=True, slots=True)
class Facts:
    """What an instrument is."""

    name: str | None = None
    exchange: str | None = None
    currency: str | None = None
    type: str | None = None


def read_symbols(path: Path) -> Mapping[str, Facts]:
    """Read `symbol` and, each optional, `name`, `exchange`, `currency`, `type`.

    Raises:
        ImportRefused: it cannot be read, or a symbol is there twice.
    """
    found: dict[str, Facts] = {}
    wrong: list[Wrong] = []
    for number, row in _rows(path, ("symbol",)):
        symbol = row["symbol"]
        facts = {name: row.get(name) or None for name in FACTS}
        if not symbol:
            wrong.append(Wrong(str(path), number, "?", "Has no symbol."))
        elif symbol in found:
            wrong.append(Wrong(str(path), number, symbol, "The symbol is there twice."))
        elif any(len(each or "") > LONGEST_FACT for each in facts.values()):
            wrong.append(Wrong(str(path), number, symbol, f"A value has more than {LONGEST_FACT} characters."))
        else:
            found[symbol] = Facts(**facts)
    _refuse(wrong)
    return found


def read_actions(path: Path) -> Mapping[str, Sequence[CorporateAction]]:
    """Read `symbol`, `ex_date`, `kind` (split or dividend) and `value`: new shares per old one, or cash per share.

    Raises:
        ImportRefused: it cannot be read, or a row is wrong.
    """
    found: dict[str, dict[tuple[date, ActionKind], CorporateAction]] = {}
    wrong: list[Wrong] = []
    for number, row in _rows(path, ("symbol", "ex_date", "kind", "value")):
        try:
            action = _action(row)
        except ValueError as error:
            wrong.append(Wrong(str(path), number, row["symbol"] or "?", str(error)))
            continue
        of_symbol = found.setdefault(row["symbol"], {})
        if (action.ex_date, action.kind) in of_symbol:
            wrong.append(Wrong(str(path), number, row["symbol"], f"The {action.kind} of that day is there twice."))
        of_symbol[action.ex_date, action.kind] = action
    _refuse(wrong)
    return {symbol: sorted(each.values(), key=lambda a: (a.ex_date, a.kind)) for symbol, each in found.items()}


def _action(row: Mapping[str, str]) -> CorporateAction:
    if not row["symbol"]:
        raise ValueError("Has no symbol.")
    try:
        day = date.fromisoformat(row["ex_date"])
    except ValueError:
        raise ValueError(f"{row['ex_date']!r} is no date such as 2005-02-28.") from None
    try:
        kind = ActionKind(row["kind"].lower())
    except ValueError:
        raise ValueError(f"{row['kind']!r} is neither split nor dividend.") from None
    try:
        value = float(row["value"])
    except ValueError:
        value = math.nan
    if not 0 < value < (MOST_RATIO if kind is ActionKind.SPLIT else math.inf):
        raise ValueError(f"{row['value']!r} is no positive number: new shares for one old share, or cash per share.")
    return CorporateAction(day, kind, value)


def _rows(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
            if missing := [name for name in needed if name not in reader.fieldnames]:
                raise ImportRefused(f"{path} has no column {', '.join(missing)}.")
            for number, row in enumerate(reader):
                yield number, {name: (value or "").strip() for name, value in row.items() if isinstance(name, str)}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ImportRefused(f"{path} cannot be read: {error}") from error


def _refuse(wrong: Sequence[Wrong]) -> None:
    if wrong:
        raise ImportRefused(
            "Some rows are wrong; nothing was imported. Correct the file, and import again.",
            tuple(wrong[:MOST_SHOWN]),
            len(wrong),
        )

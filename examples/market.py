"""Compare instruments: total return by year, dividends included, and the splits that prices are adjusted for.

    python examples/market.py [SYMBOL ...]     # by default all of the market, ten at most

Needs httpx. Costs one unit per instrument. `adjust=all` makes closes comparable across splits and dividends, so their
ratio is what a holder earned.
"""

import sys
from itertools import groupby, pairwise

import httpx
from connection import connection

YEARS = 8


def main() -> None:
    """Print one row per year, one column per instrument."""
    url, headers = connection()
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        symbols = sys.argv[1:] or [each["symbol"] for each in client.get("symbols?limit=10").json()["items"]]
        for symbol in symbols:
            print_actions(client.get(f"symbols/{symbol}"))
        asked = {"symbols": ",".join(symbols), "adjust": "all", "interval": "1d"}
        answer = client.get("prices", params=asked)
        answer.raise_for_status()
        prices = answer.json()
    returns = {each["symbol"]: yearly(each["timestamps"], each["values"]["close"]) for each in prices["results"]}
    for error in prices["errors"]:
        print(f"{error['symbol']}: {error['detail']}", file=sys.stderr)
    print("year " + "".join(f"{symbol:>9}" for symbol in returns))
    for year in sorted({year for of in returns.values() for year in of})[-YEARS:]:
        cells = (f"{of[year]:+9.1%}" if year in of else " " * 9 for of in returns.values())
        print(f"{year} " + "".join(cells))


def print_actions(answer: httpx.Response) -> None:
    """Print what an instrument is, and its splits."""
    if answer.is_error:
        raise SystemExit(f"{answer.status_code} {answer.json().get('detail', '')}")
    one = answer.json()
    actions = one["corporate_actions"]
    splits = [f"{each['ex_date']} {each['ratio']:g} for 1" for each in actions if each["kind"] == "split"]
    what = f"{one['symbol']} {one['name'] or ''}, {one['bars']} bars from {one['first']}"
    print(f"{what}; splits: {', '.join(splits) or 'none'}", file=sys.stderr)


def yearly(timestamps: list[str], closes: list[float | None]) -> dict[str, float]:
    """The return of each year: its last close over that of the year before. The first year has none."""
    known = [(day[:4], close) for day, close in zip(timestamps, closes, strict=True) if close is not None]
    last = {year: [close for _, close in group][-1] for year, group in groupby(known, key=lambda each: each[0])}
    return {year: last[year] / last[before] - 1 for before, year in pairwise(last)}


if __name__ == "__main__":
    main()

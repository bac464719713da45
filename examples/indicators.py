"""Draw the prices of an instrument with its indicators: candles, Bollinger bands, two averages, RSI and MACD.

    python examples/indicators.py [SYMBOL [CHART.svg]]     # by default AAPL and SYMBOL.svg

Needs httpx, and nothing to draw with: the chart is SVG, which every browser shows, light or dark. Costs six units.
"""

import datetime as dt
import sys
from pathlib import Path

import httpx
from chart import Chart
from connection import connection

DAYS = 300
INDICATORS = [
    {"id": "bands", "name": "bbands", "params": {"period": 20}},
    {"id": "ema 20", "name": "ema", "params": {"period": 20}},
    {"id": "ema 50", "name": "ema", "params": {"period": 50}},
    {"id": "rsi", "name": "rsi", "params": {"period": 14}},
    {"id": "macd", "name": "macd"},
]


def main() -> None:
    """Fetch, draw, print the last bar."""
    symbol, *path = sys.argv[1:] or ["AAPL"]
    url, headers = connection()
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        last = dt.date.fromisoformat(checked(client.get(f"symbols/{symbol}"))["last"][:10])
        since = (last - dt.timedelta(days=DAYS)).isoformat()
        prices = checked(client.get("prices", params={"symbols": symbol, "start": since}))["results"][0]
        body = {"symbols": [symbol], "start": since, "indicators": INDICATORS}
        answer = checked(client.post("indicators", json=body))
    for error in answer["errors"]:
        print(f"{error['id']}: {error['detail']}", file=sys.stderr)
    lines = {each["id"]: each["values"] for each in answer["results"]}
    file = Path(path[0] if path else f"{symbol}.svg")
    file.write_text(draw(symbol, prices, lines), encoding="utf-8")
    print(f"{symbol} on {prices['timestamps'][-1]}, close {prices['values']['close'][-1]}")
    for of, values in lines.items():
        shown = ", ".join(f"{name} {line[-1]:.2f}" for name, line in values.items() if line[-1] is not None)
        print(f"{of:>7}: {shown}")
    print(f"Chart: {file}")


def checked(answer: httpx.Response) -> dict:
    """The document of an answer, or the problem's own words."""
    if answer.is_error:
        problem = answer.json()
        raise SystemExit(f"{answer.status_code} {problem['title']} {problem.get('detail', '')}")
    return answer.json()


def draw(symbol: str, prices: dict, lines: dict[str, dict[str, list]]) -> str:
    """The chart. An indicator that the account may not use is missing from `lines`, and from the chart."""
    days, bars = prices["timestamps"], prices["values"]
    chart = Chart(days, f"{symbol}, daily, adjusted for {prices['adjust']}")
    averages = {name: lines[name]["ema"] for name in ("ema 20", "ema 50") if name in lines}
    bands = lines.get("bands")
    panel = chart.panel(360, [bars["high"], bars["low"], *(bands.values() if bands else ())])
    if bands:
        panel.band(bands["lowerband"], bands["upperband"], "Bollinger bands 20, 2")
    panel.candles(bars["open"], bars["high"], bars["low"], bars["close"])
    for colour, (name, line) in zip(("blue", "orange"), averages.items(), strict=False):
        panel.line(line, colour, name.upper())
    if "rsi" in lines:
        panel = chart.panel(110, [[0, 100]], ticks=(30, 50, 70))
        panel.level(30)
        panel.level(70)
        panel.line(lines["rsi"]["rsi"], "purple", "RSI 14")
    if "macd" in lines:
        macd = lines["macd"]
        panel = chart.panel(130, macd.values())
        panel.bars(macd["macdhist"])
        panel.line(macd["macd"], "blue", "MACD 12, 26")
        panel.line(macd["macdsignal"], "orange", "signal 9")
    return chart.svg()


if __name__ == "__main__":
    main()

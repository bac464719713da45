"""Forecast the annual flow of the Nile at Aswan by ten years.

    python examples/kalman.py             # a table
    python examples/kalman.py nile.svg    # and a chart, where matplotlib is installed

Needs httpx. The model is a local level with the variances of Durbin & Koopman (2012), section 2.
"""

import sys

import httpx
from connection import connection

FIRST_YEAR = 1871
# 10^8 cubic metres, 1871 to 1970.
NILE = [
    1120,
    1160,
    963,
    1210,
    1160,
    1160,
    813,
    1230,
    1370,
    1140,
    995,
    935,
    1110,
    994,
    1020,
    960,
    1180,
    799,
    958,
    1140,
    1100,
    1210,
    1150,
    1250,
    1260,
    1220,
    1030,
    1100,
    774,
    840,
    874,
    694,
    940,
    833,
    701,
    916,
    692,
    1020,
    1050,
    969,
    831,
    726,
    456,
    824,
    702,
    1120,
    1100,
    832,
    764,
    821,
    768,
    845,
    864,
    862,
    698,
    845,
    744,
    796,
    1040,
    759,
    781,
    865,
    845,
    944,
    984,
    897,
    822,
    1010,
    771,
    676,
    649,
    846,
    812,
    742,
    801,
    1040,
    860,
    874,
    848,
    890,
    744,
    749,
    838,
    1050,
    918,
    986,
    797,
    923,
    975,
    815,
    1020,
    906,
    901,
    1170,
    912,
    746,
    919,
    718,
    714,
    740,
]
MODEL = {"kind": "local_level", "obs_var": 15099.0, "level_var": 1469.1}
STEPS = 10


def main() -> None:
    """Forecast, print, draw."""
    url, headers = connection()
    body = {"model": MODEL, "observations": [NILE], "steps": STEPS, "level": 0.95}
    answer = httpx.post(f"{url}/kalman/forecast", headers=headers, json=body, timeout=30)
    if answer.is_error:
        problem = answer.json()
        raise SystemExit(f"{answer.status_code} {problem['title']} {problem.get('detail', '')}")
    [forecast] = answer.json()["results"]
    years = range(FIRST_YEAR + len(NILE), FIRST_YEAR + len(NILE) + STEPS)
    print("year    mean   lower   upper")
    for row in zip(years, forecast["mean"], forecast["lower"], forecast["upper"], strict=True):
        print("{:4d} {:7.1f} {:7.1f} {:7.1f}".format(*row))
    print(f"Units left: {answer.headers['RateLimit']}")
    if len(sys.argv) > 1:
        draw(sys.argv[1], years, forecast)


def draw(path: str, years: range, forecast: dict[str, list[float]]) -> None:
    """Draw the series and its forecast as PNG or SVG."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        print("No chart: matplotlib is not installed.")
        return
    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots()
    axes.plot(range(FIRST_YEAR, FIRST_YEAR + len(NILE)), NILE, label="observed")
    axes.plot(years, forecast["mean"], label="forecast")
    axes.fill_between(years, forecast["lower"], forecast["upper"], alpha=0.3, label="95 % interval")
    axes.set_ylabel("flow, 10⁸ m³ per year")
    axes.legend()
    figure.savefig(path)
    print(f"Chart: {path}")


if __name__ == "__main__":
    main()

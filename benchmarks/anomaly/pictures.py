"""Two pictures for docs/model-alerts.md: a series with its band and alarms, and false alarms asked for and observed.

Colours of Okabe and Ito on no background, with grey text: readable on light and on dark pages.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from luna_serving.engines.anomaly import api

from .alarms import DAY, KINDS, METHODS, MINUTE_MS, START, Measured

GREY = "#808080"
BLUE, ORANGE, GREEN, RED = "#3B8FD0", "#E69F00", "#00A67A", "#E0504A"
COLOURS = dict(zip(METHODS, (GREEN, ORANGE, BLUE), strict=True))
STEP_MS = 5 * MINUTE_MS
PER_DAY = DAY // 5
SPIKE, SHIFT = 60, 160


def can_draw() -> bool:
    """Tell whether matplotlib is installed; nothing else here needs it."""
    return find_spec("matplotlib") is not None


def draw_example(file: Path) -> None:
    """A day of a series with a spike and a shift of the level in heavy-tailed noise, at a false alarm a month."""
    rng = np.random.default_rng(4)
    stamps = START + STEP_MS * np.arange(8 * PER_DAY)
    angle = 2 * np.pi * np.arange(len(stamps)) / PER_DAY
    values = 50 + 12 * np.sin(angle) + 4 * np.cos(3 * angle + 1) + 1.5 * rng.standard_t(5, len(stamps))
    day = slice(7 * PER_DAY, None)
    values[day][SPIKE] += 45
    values[day][SHIFT:] += 9
    past, now = (stamps[: 7 * PER_DAY], values[: 7 * PER_DAY]), (stamps[day], values[day])
    models, states = api.learn([past])
    scores, sums, _ = api.advance(models, states, [now])
    alarms, _ = api.alarms(models, 7 / 30.4375, [now[0]], scores, sums, [api.Caution()])
    low, high = (api.band([(stamps, values)], now[0], q)[0] for q in (0.005, 0.995))
    figure, axes = _figure()
    hours = np.arange(PER_DAY) / 12
    axes.fill_between(hours, low, high, color=BLUE, alpha=0.3, linewidth=0, label="band of 99 % of samples")
    axes.plot(hours, now[1], color=GREY, linewidth=0.9, label="series")
    axes.plot(hours[alarms[0]], now[1][alarms[0]], "o", color=RED, markersize=3.5, label="alarm")
    axes.set_xlabel("hour")
    axes.set_xlim(0, 24)
    _finish(figure, axes, file)


def draw_rates(measured: Sequence[Measured], file: Path) -> None:
    """False alarms observed over those asked for, per kind of series and method."""
    figure, axes = _figure()
    names = [name for name, _, _ in KINDS if any(each.kind == name for each in measured)]
    for k, method in enumerate(METHODS):
        for filled, asked in enumerate(sorted({each.asked for each in measured})):
            some = [each for each in measured if each.method == method and each.asked == asked]
            place = [names.index(each.kind) + 0.22 * (k - 1) + 0.08 * (filled - 0.5) for each in some]
            ratio = [max(each.per_week / asked, 0.02) for each in some]
            face = COLOURS[method] if filled else "none"
            label = f"{method}, one a {'week' if asked == 1 else 'month'}"
            axes.plot(place, ratio, "o", color=COLOURS[method], markerfacecolor=face, markersize=5, label=label)
    axes.axhspan(0.8, 1.2, color=GREY, alpha=0.25, linewidth=0)
    axes.axhline(1, color=GREY, linewidth=0.8)
    axes.set_yscale("log")
    axes.set_ylabel("observed / asked for")
    axes.set_xticks(range(len(names)), [name.replace(", ", ",\n") for name in names], fontsize=7)
    _finish(figure, axes, file)


def _figure() -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 3.2), layout="constrained")
    return figure, figure.subplots()


def _finish(figure: Any, axes: Any, file: Path) -> None:  # noqa: ANN401  of matplotlib, which is no dependency
    axes.legend(fontsize=7, frameon=False, labelcolor=GREY)
    axes.tick_params(colors=GREY, labelsize=8)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(GREY)
        label.set_fontsize(8)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GREY)
    import matplotlib as mpl

    # Names of parts and the date would differ at each run.
    with mpl.rc_context({"svg.hashsalt": "luna", "svg.fonttype": "none"}):
        figure.savefig(file, transparent=True, metadata={"Date": None, "Creator": None})

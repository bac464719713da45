"""The scaling as a picture: steps a second over the number of series, and over the length of one."""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from .measure import Cell
from .workload import Task

# Colours of Okabe & Ito, which colour-blind readers can tell apart. A peer has the same colour in every panel.
STYLES: Final[Mapping[str, tuple[str, str]]] = {
    "filter_batch": ("#E69F00", "o"),
    "statsmodels": ("#0072B2", "v"),
    "simdkalman": ("#009E73", "^"),
    "dynamax": ("#56B4E9", "D"),
    "pykalman": ("#CC79A7", "x"),
    "filterpy": ("#000000", "+"),
}
LUNA: Final = ("filter_batch",)
# Lengths whose scaling over the number of series is drawn, if they were measured.
LENGTHS: Final = (100, 1000)


def can_plot() -> bool:
    """Tell whether matplotlib is installed; nothing else here needs it."""
    return find_spec("matplotlib") is not None


def plot(cells: Sequence[Cell], facts: Mapping[str, str], bandwidth: float, file: Path) -> None:
    """Draw a row of panels a task; both axes logarithmic, the dotted line a copy of what a step reads and writes."""
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(cell.task for cell in cells))
    figure = Figure(figsize=(13, 1.2 + 3.6 * len(tasks)), layout="constrained")
    panels = figure.subplots(len(tasks), 1 + len(LENGTHS), sharey=True, squeeze=False)
    for task, row in zip(tasks, panels, strict=True):
        mine = [cell for cell in cells if cell.task is task]
        for axes, length in zip(row, LENGTHS, strict=False):
            chosen = [cell for cell in mine if cell.size.periods == length]
            _panel(axes, chosen, lambda cell: cell.size.series, bandwidth / task.bytes_a_step)
            axes.set_xlabel(f"series of {length:,} periods")
        _panel(row[-1], [cell for cell in mine if cell.size.series == 1], _periods, bandwidth / task.bytes_a_step)
        row[-1].set_xlabel("periods of one series")
        row[0].set_ylabel(f"{_short(task)}\nsteps/s (periods of all series a second)")
    drawn = {line.get_label(): line for axes in panels.flat for line in axes.get_lines()}
    names = [name for name in (*STYLES, "copy of memory") if name in drawn]
    labels = [f"Luna: {name}" if name in LUNA else name for name in names]
    figure.legend([drawn[name] for name in names], labels, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle(f"Kalman filter, 2 states, 1 observed, float64 — {facts['machine']}", fontsize=11)
    figure.savefig(file, dpi=130)


def _panel(axes: Any, cells: Sequence[Cell], place: Callable[[Cell], int], limit: float) -> None:  # noqa: ANN401
    for name, (colour, marker) in STYLES.items():
        points = sorted(
            (place(cell), each.steps_per_s) for cell in cells for each in (*cell.luna, *cell.peers) if each.name == name
        )
        if points:
            width = 2.2 if name in LUNA else 1.2
            axes.plot(*zip(*points, strict=True), color=colour, marker=marker, linewidth=width, label=name)
    if cells:
        axes.axhline(limit, color="grey", linestyle=":", label="copy of memory")
    else:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color="grey")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.grid(visible=True, which="major", alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _periods(cell: Cell) -> int:
    return cell.size.periods


def _short(task: Task) -> str:
    return {
        Task.MEANS: "filtered means, nothing missing",
        Task.GAPS: "filtered means, 10 % missing",
        Task.FULL: "means, covariances, log-likelihood",
    }[task]

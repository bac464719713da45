"""Rows out of slices; and the rows as a table, as Markdown, as JSON and as a picture."""

from collections import Counter
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from .wrk import Slice

PEERS = ("original", "echo")
HEADINGS = (
    "points",
    "connections",
    "server",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "errors",
    "÷ original",
    "÷ echo",
    "luna ÷ it",
)


@dataclass(frozen=True)
class Ratio:
    """A server's requests/s over a peer's, taken within each round: median, lowest, highest."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g})"


@dataclass(frozen=True)
class Row:
    """One server at one series length and number of connections, over all rounds."""

    points: int
    connections: int
    server: str
    slices: list[Slice]
    ratios: dict[str, Ratio]
    """By peer, this server's requests/s over the peer's."""
    luna: Ratio | None
    """Luna's requests/s over this server's; None for Luna itself, or if there is none to compare with."""

    @property
    def faults(self) -> Counter[str]:
        """What went wrong, and how often; a row with any is invalid."""
        return sum((Counter(one.faults) for one in self.slices), Counter())

    def median(self, what: str) -> float:
        """Return the median over the rounds of one of a slice's figures."""
        return float(median(getattr(one, what) for one in self.slices))

    def cells(self) -> list[str]:
        """Return what stands in the table, under `HEADINGS`."""
        head = [str(self.points), str(self.connections), self.server]
        if self.faults:
            errors = ", ".join(f"{count} x {what}" for what, count in self.faults.items())
            return [*head, "invalid", "", "", errors, *("" for _ in HEADINGS[len(head) + 4 :])]
        return [
            *head,
            f"{self.median('requests_per_s'):.0f}",
            f"{self.median('p50_ms'):.2f}",
            f"{self.median('p99_ms'):.2f}",
            "0",
            *(str(self.ratios[peer]) if peer in self.ratios else "" for peer in PEERS),
            str(self.luna or ""),
        ]


def make_rows(slices: dict[tuple[int, int, str], list[Slice]]) -> list[Row]:
    """Put the slices of all rounds together, keyed by points, connections and server."""
    rows = []
    for (points, connections, server), mine in slices.items():
        others = {
            name: theirs for (*load, name), theirs in slices.items() if load == [points, connections] and name != server
        }
        ratios = {peer: ratio for peer in PEERS if (ratio := _ratio(mine, others.get(peer, []))) is not None}
        rows.append(Row(points, connections, server, mine, ratios, _ratio(others.get("luna", []), mine)))
    return rows


def _ratio(mine: list[Slice], theirs: list[Slice]) -> Ratio | None:
    pairs = list(zip(mine, theirs, strict=False))
    if not pairs or any(one.faults for pair in pairs for one in pair):
        return None
    values = [one.requests_per_s / other.requests_per_s for one, other in pairs]
    return Ratio(median(values), min(values), max(values))


def as_table(rows: list[Row]) -> Table:
    """Return the rows for a terminal, the invalid ones in red."""
    table = Table(title="requests/s, latency and ratios: medians over the rounds")
    for heading in HEADINGS:
        table.add_column(
            heading, no_wrap=heading != "errors", justify="left" if heading in {"server", "errors"} else "right"
        )
    last = None
    for row in rows:
        if last not in {None, (row.points, row.connections)}:
            table.add_section()
        last = (row.points, row.connections)
        table.add_row(*row.cells(), style="bold red" if row.faults else None)
    return table


def as_markdown(rows: list[Row], facts: dict[str, str]) -> str:
    """Return the facts as a list and the rows as a Markdown table."""
    left = {"server", "errors"}
    lines = [f"- {name}: {value}" for name, value in facts.items()]
    lines += ["", "| " + " | ".join(HEADINGS) + " |"]
    lines += ["|" + "|".join("---" if heading in left else "---:" for heading in HEADINGS) + "|"]
    lines += ["| " + " | ".join(row.cells()) + " |" for row in rows]
    return "\n".join(lines)


def as_json(rows: list[Row], facts: dict[str, str], settings: dict[str, Any]) -> dict[str, Any]:
    """Return everything that was seen, each round included."""
    figures = ("requests_per_s", "p50_ms", "p90_ms", "p99_ms")
    return {
        "benchmark": "http",
        "valid": not any(row.faults for row in rows),
        "settings": settings,
        "facts": facts,
        "rows": [
            {
                "points": row.points,
                "connections": row.connections,
                "server": row.server,
                "errors": dict(row.faults),
                "medians": {figure: row.median(figure) for figure in figures},
                "ratios": {peer: asdict(ratio) for peer, ratio in row.ratios.items()},
                "luna_over_it": asdict(row.luna) if row.luna else None,
                "rounds": [asdict(one) for one in row.slices],
            }
            for row in rows
        ],
    }


def can_plot() -> bool:
    """Tell whether matplotlib is installed; nothing else here needs it."""
    return find_spec("matplotlib") is not None


def plot(rows: list[Row], facts: dict[str, str], file: Path) -> None:
    """Draw requests/s as bars, a group for each load. The axis is logarithmic: the echo dwarfs the rest."""
    from matplotlib.figure import Figure

    loads = list(dict.fromkeys((row.points, row.connections) for row in rows))
    servers = list(dict.fromkeys(row.server for row in rows))
    width = 0.8 / len(servers)
    figure = Figure(figsize=(max(9, 0.45 * len(servers) * len(loads)), 4.5), layout="constrained")
    axes = figure.subplots()
    for number, server in enumerate(servers):
        mine = {(row.points, row.connections): row for row in rows if row.server == server and not row.faults}
        places = [place + (number - (len(servers) - 1) / 2) * width for place in range(len(loads))]
        heights = [mine[load].median("requests_per_s") if load in mine else 0.0 for load in loads]
        bars = axes.bar(places, heights, width * 0.92, label=server)
        axes.bar_label(bars, labels=[f"{height:,.0f}" if height else "" for height in heights], fontsize=8)
    axes.set_yscale("log")
    axes.margins(y=0.12)
    axes.set_xticks(range(len(loads)), [f"{points} points\n{conns} in flight" for points, conns in loads])
    axes.set_ylabel("requests/s (logarithmic)")
    axes.set_title(f"One Kalman call over HTTP — {facts['machine']}", fontsize=10)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=150)

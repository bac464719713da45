"""Figures out of rounds, as tables, as Markdown and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from .load import Slice


@dataclass(frozen=True)
class Ratio:
    """Luna over a peer within each round: median, lowest, highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> "Ratio":
        """Of figures that were taken one after the other."""
        values = [mine / other for mine, other in zip(ours, theirs, strict=True)]
        return cls(median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.3g} ({self.low:.3g} to {self.high:.3g})"


@dataclass
class Figures:
    """Everything that was measured; a part that was not asked for is empty."""

    batch_s: dict[str, list[float]] = field(default_factory=dict)
    """Seconds of each round for all symbols and the ten indicators, by contender."""
    answer_mb: float = 0.0
    http: dict[str, list[Slice]] = field(default_factory=dict)
    """Slices of each round, by route."""

    @property
    def faults(self) -> int:
        """Answers that were not 200 under load."""
        return sum(one.faults for slices in self.http.values() for one in slices)

    def tables(self) -> list[tuple[str, list[str], list[list[str]]]]:
        """Title, headings and cells of each table."""
        return [table for table in (self._batch(), self._http()) if table[2]]

    def _batch(self) -> tuple[str, list[str], list[list[str]]]:
        rows = []
        luna = self.batch_s.get("luna", [])
        for name, seconds in self.batch_s.items():
            ratio = "" if name == "luna" or not luna else str(Ratio.of(luna, seconds))
            rows.append([name, f"{median(seconds):.3f}", f"{min(seconds):.3f}", ratio])
        title = f"All symbols and ten indicators in one go (Luna's answer: {self.answer_mb:.0f} MB)"
        return title, ["contender", "s, median", "s, best", "luna takes so many times as long"], rows

    def _http(self) -> tuple[str, list[str], list[list[str]]]:
        rows = []
        kalman = self.http.get("kalman", [])
        for name, slices in self.http.items():
            rates = [one.requests_per_s for one in slices]
            p50, p99 = (median(getattr(one, each) for one in slices) for each in ("p50_ms", "p99_ms"))
            ratio = "" if name == "kalman" or not kalman else str(Ratio.of(rates, [k.requests_per_s for k in kalman]))
            rows.append(
                [
                    *(name, f"{median(rates):.0f}", f"{p50:.2f}", f"{p99:.2f}", f"{p99 / p50:.1f}"),
                    *(f"{slices[-1].answer_bytes:,}", ratio),
                ]
            )
        headings = ["route", "requests/s", "p50 ms", "p99 ms", "p99 / p50", "bytes", "requests/s ÷ kalman"]
        return "One call after the other on each connection", headings, rows

    def as_json(self) -> dict[str, Any]:
        """Each round included."""
        return {
            "batch_s": self.batch_s,
            "answer_mb": self.answer_mb,
            "http": {name: [asdict(one) for one in slices] for name, slices in self.http.items()},
        }


def show(figures: Figures, facts: dict[str, str], *, markdown: bool) -> None:
    """Print facts and tables."""
    if markdown:
        print("\n".join(f"- {name}: {value}" for name, value in facts.items()))
        for title, headings, rows in figures.tables():
            lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
            print(f"\n{title}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines))
        return
    out = Console(width=140)
    for name, value in facts.items():
        out.print(f"{name}: {value}", markup=False, highlight=False)
    for title, headings, rows in figures.tables():
        table = Table(*headings, title=title)
        for row in rows:
            table.add_row(*row)
        out.print(table)

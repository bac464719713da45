"""Random series, and random queries of the grammar in `grammar.txt`, for the comparison with Prometheus.

Values are multiples of 1/4, so that sums are exact: a comparison or a division does not depend on the order of a sum.
"""

import re
from pathlib import Path
from random import Random
from typing import Any

_BLOCKS = Path(__file__).with_name("grammar.txt").read_text().split("\n\n")[1:]


def _alternatives() -> dict[str, tuple[list[str], list[int]]]:
    """Per symbol its alternatives and their weights."""
    symbols = {}
    for block in _BLOCKS:
        name, *lines = block.rstrip("\n").split("\n")
        weights, texts = zip(*(line.split(" ", 1) for line in lines), strict=True)
        symbols[name] = (list(texts), [int(weight) for weight in weights])
    return symbols


ALTERNATIVES = _alternatives()


def _symbols(text: str) -> list[str]:
    return re.findall(r"<([a-z ]+)>", text)


def _recursive() -> set[str]:
    """The symbols that can hold a vector again."""
    found = {"vector"}
    while more := {
        name
        for name, (texts, _) in ALTERNATIVES.items()
        if name not in found and any(symbol in found for text in texts for symbol in _symbols(text))
    }:
        found |= more
    return found


RECURSIVE = _recursive()


class Generator:
    """Draws from one seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._draw = self._random.choice

    def query(self) -> dict[str, Any]:
        """An instant query (step 0) or a range query, with times in milliseconds."""
        expression = self._expand("top", self._random.randint(1, 6))
        start = self._random.randint(0, 1_000) * 1_000 + self._draw([0, 0, 0, self._random.randint(0, 999)])
        step = self._draw([0, 0, 0, 0, 1_000, 7_000, 15_000, 30_000, 60_000, 61_500, 200_000])
        length = step and step * self._random.randint(0, 12) + self._draw([0, 500])
        return {"Expr": expression, "Start": start, "End": start + length, "Step": step}

    def _expand(self, symbol: str, depth: int) -> str:
        texts, weights = ALTERNATIVES[symbol]
        text = texts[0] if depth < 0 and symbol in RECURSIVE else self._random.choices(texts, weights)[0]
        return re.sub(r"<([a-z ]+)>", lambda found: self._expand(found[1], depth - 1), text)

    def load(self) -> str:
        """Load commands of counters, gauges, buckets, and of one series `k` per value of the label `a`."""
        return (
            "\n\n".join(f"load {self._draw(['7s', '15s', '15s', '30s', '1m'])}\n{self._series(a)}" for a in "xyz")
            + "\n"
        )

    def _series(self, a: str) -> str:
        lines = [f'  c_total{{a="{a}", b="{b}"}} {self._counter()}' for b in "pqr"]
        lines += [f'  g{{a="{a}", b="{b}"}} {self._gauge()}' for b in "pqr"]
        lines.append(f'  k{{a="{a}", team="{self._draw("mn")}"}} {self._gauge()}')
        lines.append(f'  h_sum{{a="{a}"}} {self._counter()}')
        bounds = [*self._random.sample(["-1", "0.5", "1", "2.5", "10", "100"], 4), "+Inf"]
        lines += [f'  h_bucket{{a="{a}", le="{bound}"}} {points}' for bound, points in self._buckets(bounds).items()]
        return "\n".join(lines)

    def _length(self) -> range:
        return range(self._random.randint(self._draw([1, 40, 50]), 60))

    def _special(self, likely: float, choices: list[str]) -> str | None:
        return self._draw(choices) if self._random.random() < likely else None

    def _gauge(self) -> str:
        likely = self._draw([0, 0, 0.05, 0.2])
        special = ["_", "_", "_x3", "stale", "stale", "NaN", "Inf", "-Inf", "0", "-0", "_x25"]
        return " ".join(self._special(likely, special) or str(self._number()) for _ in self._length())

    def _number(self) -> float:
        numbers = [self._random.randint(-12, 12), self._random.randint(0, 400), self._random.randint(-40, 40) / 4]
        return float(self._draw(numbers))

    def _counter(self) -> str:
        likely, value = self._draw([0, 0, 0.1]), float(self._draw([0, 0, 7, 1000]))
        points = []
        for _ in self._length():
            reset = self._random.random() < 0.05
            value = self._random.randint(0, 3) if reset else value + self._random.randint(0, 40) / 4
            points.append(self._special(likely, ["_", "_x3", "stale", "_x25"]) or str(value))
        return " ".join(points)

    def _buckets(self, bounds: list[str]) -> dict[str, str]:
        broken = self._random.random() < 0.2
        counts = dict.fromkeys(sorted(bounds, key=float), 0)
        rows: dict[str, list[str]] = {bound: [] for bound in bounds}
        for _ in self._length():
            total = 0
            for bound in counts:
                counts[bound] += self._random.randint(0, 4)
                total += counts[bound]
                rows[bound].append(str(total - (self._random.randint(0, 3) if broken else 0)))
        return {bound: " ".join(points) for bound, points in rows.items()}

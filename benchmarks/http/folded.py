"""A speedscope recording of py-spy, folded by function."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Folded:
    """Weights of functions, each named as `name (file)`."""

    own: Counter[str]
    """Of samples whose innermost frame is the function."""
    total: Counter[str]
    """Of samples that have it on their stack, however often."""
    samples: float
    """The weight of all samples."""

    def rows(self, weights: Counter[str], most: int) -> list[tuple[str, float, float]]:
        """The functions with the largest `weights`: name, own share, total share."""
        everything = self.samples or 1.0
        return [
            (name, self.own[name] / everything, self.total[name] / everything) for name, _ in weights.most_common(most)
        ]

    def tables(self, most: int) -> str:
        """Two tables in Markdown: by own share, and by total share."""
        parts = []
        for title, weights in (("own", self.own), ("total", self.total)):
            parts += [f"| by {title} share | own | total |", "|---|---:|---:|"]
            parts += [f"| `{name}` | {own:.1%} | {total:.1%} |" for name, own, total in self.rows(weights, most)]
            parts.append("")
        return "\n".join(parts)


def fold(recording: Path) -> Folded:
    """Fold the samples of all threads."""
    return fold_profiles(json.loads(recording.read_text()))


def fold_profiles(speedscope: dict[str, Any]) -> Folded:
    """Fold a parsed recording: https://www.speedscope.app/file-format-schema.json, of type `sampled`."""
    names = [f"{frame['name']} ({frame.get('file', '?')})" for frame in speedscope["shared"]["frames"]]
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    samples = 0.0
    for profile in speedscope["profiles"]:
        for stack, weight in zip(profile["samples"], profile["weights"], strict=True):
            if not stack:
                continue
            samples += weight
            # The outermost frame comes first.
            own[names[stack[-1]]] += weight
            for name in {names[frame] for frame in stack}:
                total[name] += weight
    return Folded(own, total, samples)

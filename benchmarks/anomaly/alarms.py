"""False alarms on clean series after a week of learning, and how soon a shift of the level is found; beside peers."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from luna_serving.engines.anomaly import api

from . import peers

MINUTE_MS, WEEK, DAY = 60_000, 10_080, 1440
START = 1_700_006_400_000
MONTHLY = 7 / 30.4375
SHIFT, SHIFTED = 6.0, 5
WEEKS_PER_SERIES, SERIES = 10, 100
KINDS = (
    ("daily pattern", "season", np.inf),
    ("level, no pattern", "", np.inf),
    ("daily pattern, level that walks", "season level", np.inf),
    ("daily pattern, trend", "season trend", np.inf),
    ("daily pattern, t(5) noise", "season", 5.0),
    ("t(3) noise", "", 3.0),
)
METHODS = ("Luna", "z-score", "EWMA")


@dataclass(frozen=True)
class Measured:
    """One method on one kind of series at one number asked for."""

    kind: str
    method: str
    asked: float
    weeks: int
    false: int
    """Alarms on the clean series; samples of one alarm count once."""
    at_once: float
    """Share of series in which the first sample of a shift is an alarm."""
    soon: float
    """Share in which one of the first five is."""

    @property
    def per_week(self) -> float:
        """False alarms per week."""
        return self.false / self.weeks


def measure(weeks: int) -> Iterator[list[Measured]]:
    """Per kind, for each method and number asked for."""
    batches = max(1, weeks // (WEEKS_PER_SERIES * SERIES))
    for name, kind, degrees in KINDS:
        total = defaultdict(lambda: np.zeros(3))
        for seed in range(batches):
            for key, counts in _batch(kind, degrees, seed).items():
                total[key] += counts
        many = batches * SERIES * WEEKS_PER_SERIES
        yield [
            Measured(name, method, asked, many, int(false), at_once / (batches * SERIES), soon / (batches * SERIES))
            for (method, asked), (false, at_once, soon) in total.items()
        ]


def rows(measured: list[Measured]) -> list[tuple[str, ...]]:
    """As a table has them."""
    return [
        (
            each.kind,
            each.method,
            f"{each.asked:.3f}",
            f"{each.per_week:.3f}",
            f"{each.per_week / each.asked:.2f}",
            f"{each.at_once:.1%}",
            f"{each.soon:.1%}",
        )
        for each in measured
    ]


def simulated(kind: str, degrees: float, series: int, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Clean series of noise of scale 1, shape (series, samples)."""
    shape = (series, samples)
    values = rng.standard_normal(shape) if np.isinf(degrees) else rng.standard_t(degrees, shape)
    angle = 2 * np.pi * np.arange(samples) / DAY
    if "season" in kind:
        values += 10 * np.sin(angle) + 4 * np.cos(3 * angle + 1)
    if "level" in kind:
        values += np.cumsum(0.1 * rng.standard_normal(shape), axis=1)
    if "trend" in kind:
        values += 0.01 * np.arange(samples)
    return values


def _batch(kind: str, degrees: float, seed: int) -> dict[tuple[str, float], np.ndarray]:
    """False alarms, shifts found at once, and within five samples."""
    stamps = START + MINUTE_MS * np.arange((1 + WEEKS_PER_SERIES) * WEEK + SHIFTED)
    values = simulated(kind, degrees, SERIES, len(stamps), np.random.default_rng(seed))
    values[:, -SHIFTED:] += SHIFT
    models, states = api.learn([(stamps[:WEEK], row[:WEEK]) for row in values])
    scores, sums, _ = api.advance(models, states, [(stamps[WEEK:], row[WEEK:]) for row in values])
    times = [stamps[WEEK:]] * SERIES
    others = {
        # Row by row, for the memory's sake.
        "z-score": np.stack([peers.z_scores(row, DAY)[WEEK:] for row in values]),
        "EWMA": np.stack([peers.ewma_scores(row, DAY)[WEEK:] for row in values]),
    }
    result = {}
    for asked in (1.0, MONTHLY):
        ours, _ = api.alarms(models, asked, times, scores, sums, [api.Caution()] * SERIES)
        result["Luna", asked] = _counts(np.stack(ours))
        for method, size in others.items():
            result[method, asked] = _counts(size > peers.limit(asked, WEEK))
    return result


def _counts(alarm: np.ndarray) -> np.ndarray:
    clean, shifted = alarm[:, :-SHIFTED], alarm[:, -SHIFTED:]
    started = clean[:, 0].sum() + (clean[:, 1:] & ~clean[:, :-1]).sum()
    return np.array([started, shifted[:, 0].sum(), shifted.any(axis=1).sum()])

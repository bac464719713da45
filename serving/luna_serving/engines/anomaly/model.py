"""What is learnt of series, and their running states: arrays over series, and each series as a value for JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.anomaly.kalman import Filtered, Noise
from luna_serving.engines.anomaly.panel import Floats, Ints
from luna_serving.engines.anomaly.season import DAILY, WEEKLY, Complexes
from luna_serving.engines.anomaly.shifts import Sums
from luna_serving.engines.anomaly.tails import GRID, Tails

CLIP: Final = 3.0
"""Innovations beyond three standard deviations move the state as if they were three."""
EMPTY: Final = -(2**62)
"""The time of a state that has seen no sample."""
FIRST_LEVEL, FIRST_SLOPE = 1.0, 1.0
"""Variances of level and slope (per interval) after the first sample, in units of the noise's variance."""
FORMAT: Final = 2
"""2 has the sums of `shifts` and the episodes; models and states of 1 are learnt again."""
EPISODES: Final = 12
"""Of the history, whose size a model keeps."""
_CURVES: Final = ("daily", "weekly")
_LARGEST: Final = ("largest_scores", "largest_sums")


@dataclass(frozen=True, slots=True)
class Models:
    """Models of many series; the first axis of every array is that of the series.

    A sample is `centre + pattern(t) + level + noise`; `scale` is the noise's, in units of the values.
    """

    learnt: NDArray[np.bool_]
    """False where the history was too short: scores are NaN."""
    learnt_at: Ints
    """Time of the last sample of the history, ms."""
    interval: Floats
    """Median time between samples, ms."""
    centre: Floats
    scale: Floats
    q_level: Floats
    """Variance that the level gains per interval, in units of `scale` squared."""
    q_slope: Floats
    """The same of the slope."""
    trend: NDArray[np.bool_]
    """Whether there is a slope."""
    patience: Ints
    """Consecutive samples far on one side of the prediction that make a new level."""
    daily: Complexes
    """Shape (series, DAILY), in units of the values: `season.pattern`."""
    weekly: Complexes
    """Shape (series, WEEKLY)."""
    samples: Floats
    weights: Floats
    scales: Floats
    extremal_index: Floats
    peaks: Floats
    """These five are `Tails`."""
    largest_scores: Floats
    """Shape (series, EPISODES): absolute scores of the history's largest episodes, descending; 0 beyond the last."""
    largest_sums: Floats
    """The same of the sums of `shifts`."""

    @property
    def tails(self) -> Tails:
        """How often noise alone exceeds a score."""
        return Tails(self.samples, self.weights, self.scales, self.extremal_index, self.peaks)

    def noise(self, clip: float = CLIP) -> Noise:
        """What the filter needs."""
        return Noise(self.q_level, self.q_slope, clip, self.patience)

    def chosen(self, lanes: Ints | NDArray[np.bool_]) -> "Models":
        """The models of some of the series."""
        return Models(*(getattr(self, field.name)[lanes] for field in fields(self)))

    @classmethod
    def joined(cls, parts: "Sequence[Models]") -> "Models":
        """The series of all parts."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def values(self) -> list[dict[str, Any]]:
        """Each model as a value for JSON; the reverse of `models_of`."""
        return [self._value(i) for i in range(len(self.learnt))]

    def _value(self, i: int) -> dict[str, Any]:
        value: dict[str, Any] = {"format": FORMAT}
        for field in fields(self):
            entry = getattr(self, field.name)[i]
            if field.name in _CURVES:
                used = np.trim_zeros(entry, "b")
                value[field.name] = [used.real.tolist(), used.imag.tolist()]
            elif field.name in _LARGEST:
                value[field.name] = np.trim_zeros(entry, "b").tolist()
            elif field.name == "peaks" and np.isnan(entry).any():
                value[field.name] = None
            else:
                value[field.name] = entry.tolist()
        return value


@dataclass(frozen=True, slots=True)
class States:
    """Running states of many series; see `Filtered` for the units."""

    time: Ints
    """Of the last sample, ms; `EMPTY` before the first."""
    filtered: Filtered
    sums: Sums
    """Evidence for a shift of the level."""

    def chosen(self, lanes: Ints | NDArray[np.bool_]) -> "States":
        """Copies of the states of some of the series."""
        names = Filtered.__slots__
        filtered = Filtered(*(getattr(self.filtered, name)[lanes] for name in names))
        return States(self.time[lanes].copy(), filtered, self.sums.chosen(np.asarray(lanes)))

    @classmethod
    def joined(cls, parts: "Sequence[States]") -> "States":
        """The series of all parts."""
        names = Filtered.__slots__
        columns = [np.concatenate([getattr(part.filtered, name) for part in parts]) for name in names]
        sums = Sums(*(np.concatenate([getattr(part.sums, name) for part in parts]) for name in Sums.__slots__))
        return cls(np.concatenate([part.time for part in parts]), Filtered(*columns), sums)

    def values(self) -> list[dict[str, Any]]:
        """Each state as a value for JSON; the reverse of `states_of`."""
        columns = {"time": self.time.tolist()}
        columns |= {name: getattr(self.filtered, name).tolist() for name in Filtered.__slots__}
        columns |= {name: getattr(self.sums, name).tolist() for name in Sums.__slots__}
        return [
            {"format": FORMAT} | {name: column[i] for name, column in columns.items()} for i in range(len(self.time))
        ]


def empty_states(series: int) -> States:
    """States before the first sample."""
    level, slope, p11, p12, p22, run_level = (np.zeros(series) for _ in range(6))
    filtered = Filtered(level, slope, p11, p12, p22, np.zeros(series, dtype=np.int64), run_level)
    return States(np.full(series, EMPTY, dtype=np.int64), filtered, Sums(np.zeros(series), np.zeros(series)))


def unlearnt(series: int) -> Models:
    """Models of series that have too little history."""
    return Models(
        learnt=np.zeros(series, dtype=np.bool_),
        learnt_at=np.full(series, EMPTY, dtype=np.int64),
        interval=np.ones(series),
        centre=np.zeros(series),
        scale=np.ones(series),
        q_level=np.zeros(series),
        q_slope=np.zeros(series),
        trend=np.zeros(series, dtype=np.bool_),
        patience=np.ones(series, dtype=np.int64),
        daily=np.zeros((series, DAILY), dtype=np.complex128),
        weekly=np.zeros((series, WEEKLY), dtype=np.complex128),
        samples=np.ones(series),
        weights=np.eye(GRID)[np.full(series, GRID - 1)],
        scales=np.ones((series, GRID)),
        extremal_index=np.ones(series),
        peaks=np.full((series, 4), np.nan),
        largest_scores=np.zeros((series, EPISODES)),
        largest_sums=np.zeros((series, EPISODES)),
    )


def models_of(values: Sequence[Mapping[str, Any]]) -> Models:
    """Models from their JSON values.

    Raises:
        ValueError: a value is of another format.
    """
    _check(values)
    models = unlearnt(len(values))
    for field in fields(Models):
        target = getattr(models, field.name)
        for i, value in enumerate(values):
            entry = value[field.name]
            if field.name in _CURVES:
                target[i, : len(entry[0])] = np.array(entry[0]) + 1j * np.array(entry[1])
            elif field.name in _LARGEST:
                target[i, : len(entry)] = entry
            elif entry is not None:
                target[i] = entry
    return models


def states_of(values: Sequence[Mapping[str, Any]]) -> States:
    """States from their JSON values.

    Raises:
        ValueError: a value is of another format.
    """
    _check(values)
    time = np.array([value["time"] for value in values], dtype=np.int64)
    columns: dict[str, Any] = {
        name: np.array([value[name] for value in values], dtype=np.int64 if name == "run" else np.float64)
        for name in Filtered.__slots__
    }
    sums = Sums(*(np.array([value[name] for value in values], dtype=np.float64) for name in Sums.__slots__))
    return States(time, Filtered(**columns), sums)


def _check(values: Sequence[Mapping[str, Any]]) -> None:
    for value in values:
        if value.get("format") != FORMAT:
            raise ValueError(f"format {value.get('format')!r} of a model or state is not {FORMAT}: learn it again")

"""The Numenta Anomaly Benchmark: labelled windows in which there is an alarm, and alarms outside of them.

Each series is replayed: from 15 % of it on, a model is learnt every day of samples from at most 28 days before, as a
rule does. Two peers run at the threshold that normal noise exceeds as often as asked for; the z-score also at one that
is set in hindsight, so that over the group it raises as many false alarms as Luna does.
"""

import csv
import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from luna_serving.engines.anomaly import api

from . import peers

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
HISTORY_MS = 28 * DAY_MS
TRAINED = 0.15
ASKED = 1.0
# Alarms an hour apart are one.
APART_MS = 3_600_000


@dataclass(frozen=True)
class Replayed:
    """A series after the training part; arrays of shape (samples,)."""

    stamps: np.ndarray
    windows: list[tuple[int, int]]
    alarm: np.ndarray
    z_score: np.ndarray
    ewma: np.ndarray
    limit: float
    """Of both peers."""

    @property
    def weeks(self) -> float:
        """Length."""
        return float(self.stamps[-1] - self.stamps[0]) / WEEK_MS

    def counted(self, alarm: np.ndarray) -> np.ndarray:
        """Windows, windows with an alarm, and alarms outside of windows."""
        at = self.stamps[alarm]
        found = sum(bool(((at >= low) & (at <= high)).any()) for low, high in self.windows)
        inside = np.zeros(len(at), dtype=bool)
        for low, high in self.windows:
            inside |= (at >= low) & (at <= high)
        outside = at[~inside]
        false = int((np.diff(outside) > APART_MS).sum()) + 1 if len(outside) else 0
        return np.array([len(self.windows), found, false])


def measure(folder: Path) -> list[tuple[str, ...]]:
    """Rows of the table, one per group of files and method."""
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text())
    groups = defaultdict(list)
    # A download may have some of the folders only.
    for name in sorted(name for name in labels if (folder / "data" / name).exists()):
        groups[name.split("/")[0]].append(_replayed(folder / "data" / name, labels[name]))
    everything = [one for some in groups.values() for one in some]
    return [row for name, some in [*groups.items(), ("all", everything)] for row in _rows(name, some)]


def _rows(name: str, files: list[Replayed]) -> list[tuple[str, ...]]:
    ours = sum(each.counted(each.alarm) for each in files)
    found = {"Luna": ours}
    found["z-score, normal threshold"] = sum(each.counted(each.z_score > each.limit) for each in files)
    found["EWMA, normal threshold"] = sum(each.counted(each.ewma > each.limit) for each in files)
    for limit in np.geomspace(1, 1000, 120):
        counts = sum(each.counted(each.z_score > limit) for each in files)
        if counts[2] <= ours[2]:
            found["z-score, threshold in hindsight"] = counts
            break
    weeks = sum(each.weeks for each in files)
    return [
        (name, method, str(len(files)), str(windows), str(inside), f"{false / weeks:.2f}")
        for method, (windows, inside, false) in found.items()
    ]


def _replayed(path: Path, windows: list) -> Replayed:
    with path.open() as file:
        rows = list(csv.reader(file))[1:]
    stamps = np.array([_ms(row[0]) for row in rows])
    values = np.array([float(row[1]) for row in rows])
    stamps, first = np.unique(stamps, return_index=True)
    values = values[first]
    start = int(TRAINED * len(stamps))
    per_day = max(1, round(DAY_MS / float(np.median(np.diff(stamps)))))
    alarm, cautions = np.zeros(len(stamps), dtype=bool), [api.Caution()]
    for begin in range(start, len(stamps), per_day):
        known = slice(int(np.searchsorted(stamps, stamps[begin] - HISTORY_MS)), begin)
        models, states = api.learn([(stamps[known], values[known])])
        some = slice(begin, begin + per_day)
        scores, sums, _ = api.advance(models, states, [(stamps[some], values[some])])
        found, cautions = api.alarms(models, ASKED, [stamps[some]], scores, sums, cautions)
        alarm[some] = found[0]
    spans = [(_ms(a), _ms(b)) for a, b in windows]
    return Replayed(
        stamps[start:],
        [span for span in spans if span[1] >= stamps[start]],
        alarm[start:],
        peers.z_scores(values, per_day)[start:],
        peers.ewma_scores(values, per_day)[start:],
        peers.limit(ASKED, 7 * per_day),
    )


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)

"""What was learnt of histories, so that a dashboard that asks every few seconds learns once a day.

The key is a digest of the history itself: a late sample or another series is another history, and answers are the same
with and without a memory.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock
from typing import Final

import numpy as np

from luna_serving.engines.anomaly.learning import learn
from luna_serving.engines.anomaly.model import Models, States
from luna_serving.engines.anomaly.panel import Floats, Series, pack

NAMES: Final = ("scores", "means", "deviations")
DIGEST_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Known:
    """Models of series, their states, and what is known of the last sample of each history: `Scored`, by its names."""

    models: Models
    states: States
    last: list[Floats]
    """Three arrays of shape (series,)."""


class Memory:
    """Keeps what was learnt of the histories used last; may be used by several threads. 5 kB per history."""

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._known: OrderedDict[bytes, Known] = OrderedDict()
        self._lock = Lock()

    def find(self, key: bytes) -> Known | None:
        """What was learnt of a history."""
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
            return known

    def keep(self, key: bytes, known: Known) -> None:
        """Keeps it, and drops what was not used for longest."""
        with self._lock:
            self._known[key] = known
            while len(self._known) > self._most:
                self._known.popitem(last=False)


def know(histories: Sequence[Series], memory: Memory | None) -> Known:
    """Learns the histories that the memory does not hold."""
    if memory is None or not histories:
        return _learnt(histories)
    keys = [_digest(one) for one in histories]
    found = [memory.find(key) for key in keys]
    missing = [i for i, known in enumerate(found) if known is None]
    if missing:
        fresh = _learnt([histories[i] for i in missing])
        for place, i in enumerate(missing):
            lane = np.array([place])
            known = Known(fresh.models.chosen(lane), fresh.states.chosen(lane), [part[lane] for part in fresh.last])
            found[i] = known
            memory.keep(keys[i], known)
    parts = [known for known in found if known is not None]
    return Known(
        Models.joined([part.models for part in parts]),
        States.joined([part.states for part in parts]),
        [np.concatenate([part.last[i] for part in parts]) for i in range(len(NAMES))],
    )


def _learnt(histories: Sequence[Series]) -> Known:
    learnt = learn(pack(histories))
    rows = [getattr(learnt.scored, name) for name in NAMES]
    last = [matrix[-1].copy() if len(matrix) else np.full(len(histories), np.nan) for matrix in rows]
    return Known(learnt.models, learnt.states, last)


def _digest(series: Series) -> bytes:
    times, values = series
    digest = blake2b(times.tobytes(), digest_size=DIGEST_BYTES)
    digest.update(values.tobytes())
    return digest.digest()

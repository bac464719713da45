"""An LRU cache of parsed models, by (account, name, version)."""

from collections import OrderedDict
from dataclasses import dataclass

from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec

# Names whose latest version is cached, a few hundred bytes each.
MAX_NAMES = 10_000

Name = tuple[int, str]
Key = tuple[int, str, int]


@dataclass(slots=True)
class _Kept:
    spec: ModelSpec
    weight: int
    confirmed_at: float


class ModelCache:
    """What was read from the store, and when. Times are monotonic seconds from the caller."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._latest: OrderedDict[Name, int] = OrderedDict()

    def get(self, key: Key, *, confirmed_since: float = float("-inf")) -> ModelSpec | None:
        """A model, if it is cached and was confirmed to exist since then."""
        kept = self._kept.get(key)
        if kept is None or kept.confirmed_at < confirmed_since:
            return None
        self._kept.move_to_end(key)
        return kept.spec

    def keep(self, key: Key, spec: ModelSpec, weight: int, now: float) -> None:
        """Cache a model that exists now; `weight` is its size in bytes."""
        self.forget(key)
        self._kept[key] = _Kept(spec, weight, now)
        self._bytes += weight
        while self._bytes > self._max_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= oldest.weight

    def confirm(self, key: Key, now: float) -> None:
        """Record that a model exists now."""
        if (kept := self._kept.get(key)) is not None:
            kept.confirmed_at = max(kept.confirmed_at, now)

    def forget(self, key: Key) -> None:
        """Drop a deleted model."""
        if (kept := self._kept.pop(key, None)) is not None:
            self._bytes -= kept.weight

    def latest(self, name: Name) -> int | None:
        """The latest version, as of the last read."""
        return self._latest.get(name)

    def note_latest(self, name: Name, version: int | None) -> None:
        """Record the latest version; None: there is none."""
        self._latest.pop(name, None)
        if version is None:
            return
        self._latest[name] = version
        if len(self._latest) > MAX_NAMES:
            self._latest.popitem(last=False)

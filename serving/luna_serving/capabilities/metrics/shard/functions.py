"""The functions that Luna adds to PromQL, loaded when a query names one: they need SciPy, as most shards do not."""

from collections.abc import Iterator, Mapping
from typing import Final

from luna_serving.engines.promql.api import Extension

NAMES: Final = ("luna_score", "luna_band", "luna_forecast", "luna_prob_cross")


class ModelFunctions(Mapping[str, Extension]):
    """Extensions of the language by name, of `luna_serving.engines.anomaly`; what they learn stays in this process."""

    def __init__(self) -> None:
        self._loaded: Mapping[str, Extension] | None = None

    def __getitem__(self, name: str) -> Extension:
        if name not in NAMES:
            raise KeyError(name)
        if self._loaded is None:
            from luna_serving.engines.anomaly.api import Memory
            from luna_serving.engines.anomaly.extensions import extensions

            self._loaded = extensions(Memory())
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)

"""A model as it travels from a request to a replica, and its construction."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, Self

import orjson

from luna_serving.engines.statespace.kinds import KINDS
from luna_serving.engines.statespace.model.initial import (
    ApproximateDiffuse,
    Blocks,
    Diffuse,
    Initial,
    Known,
    Stationary,
)
from luna_serving.engines.statespace.model.model import Model
from luna_serving.wire.json_values import loads

ENDLESS: Final = {"arima": "/trend", "structural": "/seasonal/duration"}
# A model whose matrices vary in time may take megabytes: such ones are not kept by the hundred.
LARGE_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model as canonical JSON: hashable, cheap to send and to compare, built once on each side."""

    kind: str
    json: bytes
    """The wire's fields but for the kind, as one object, keys in order."""
    periods: int = 0
    """How many periods a trend in time covers; see `covering`."""

    @classmethod
    def of(cls, kind: str, fields: Mapping[str, Any]) -> Self:
        """The model of these wire fields, `initial` among them or not; they are not checked here."""
        return cls(kind, orjson.dumps(fields, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY))

    def fields(self) -> dict[str, Any]:
        """The wire's fields, a copy of one's own."""
        fields: dict[str, Any] = loads(self.json)
        return fields

    def covering(self, periods: int) -> Self:
        """The model for so many periods: the same one unless it has a part that varies with no length of its own."""
        if self.endless is None:
            return self
        # In steps, so that calls of different lengths share a model and the programs compiled for it.
        step = min(1 << (max(periods, 64) - 1).bit_length(), 1024)
        return replace(self, periods=-(-periods // step) * step)

    @property
    def endless(self) -> str | None:
        """A pointer to the field of a part that varies in time and has no length of its own."""
        part = {"arima": b'"trend":[', "structural": b'"duration":'}.get(self.kind)
        return None if part is None or part not in self.json else ENDLESS[self.kind]

    def build(self) -> Model:
        """Build the model.

        Raises:
            ModelError: a field is out of its range; points to it.
        """
        large = len(self.json) > LARGE_BYTES or self.periods > LARGE_BYTES // 8
        return (_build_large if large else _build)(self)


def build_model(kind: str, fields: Mapping[str, Any], periods: int = 0) -> Model:
    """The model of wire fields, `initial` among them or not; kept nowhere.

    Raises:
        ModelError: a field is out of its range; points to it.
    """
    fields = dict(fields) | ({"periods": periods} if periods else {})
    initial = fields.pop("initial", None)
    return KINDS[kind](**fields, initial=None if initial is None else _initial(initial))


# Of the process, not of an object: specs arrive by value, one per call, and equal ones must become the same `Model`
# within a batch. An owner would have to travel with each of them.
@lru_cache(maxsize=256)
def _build(spec: ModelSpec) -> Model:
    return build_model(spec.kind, spec.fields(), spec.periods)


@lru_cache(maxsize=2)
def _build_large(spec: ModelSpec) -> Model:
    return build_model(spec.kind, spec.fields(), spec.periods)


def _initial(words: Mapping[str, Any]) -> Initial:
    match words["kind"]:
        case "known":
            # As they came: Known's own checks name a ragged list by its field, where np.array would only raise.
            return Known(words["mean"], words["cov"], words.get("timing", "predicted"))
        case "approximate_diffuse":
            return ApproximateDiffuse(words["variance"])
        case "stationary":
            return Stationary()
        case "blocks":
            return Blocks(tuple((block["states"], _initial(block)) for block in words["blocks"]))
        case _:
            return Diffuse()

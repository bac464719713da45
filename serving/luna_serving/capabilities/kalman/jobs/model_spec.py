"""A model as it travels from a request to a replica, and its construction."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final, Self

import orjson

from luna_serving.engines.statespace.api.description import (
    KINDS,
    ApproximateDiffuse,
    Blocks,
    Diffuse,
    Initial,
    Known,
    Model,
    Stationary,
)
from luna_serving.wire.json_values import loads

ENDLESS: Final = {"arima": "/trend", "structural": "/seasonal/duration"}
# A model whose matrices vary in time may take megabytes, so only a few of these are cached.
LARGE_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model as canonical JSON: hashable, cheap to send and compare, built once per process."""

    kind: str
    json: bytes
    """The wire's fields except the kind, as one object with sorted keys."""
    periods: int = 0
    """The number of periods that a trend in time covers; see `covering`."""

    @classmethod
    def of(cls, kind: str, fields: Mapping[str, Any]) -> Self:
        """The spec of these wire fields, with or without `initial`; they are not checked here."""
        return cls(kind, orjson.dumps(fields, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY))

    def fields(self) -> dict[str, Any]:
        """The wire's fields, as a new object."""
        fields: dict[str, Any] = loads(self.json)
        return fields

    def covering(self, periods: int) -> Self:
        """The model for a number of periods: the same unless a part varies in time without a length."""
        if self.endless is None:
            return self
        # In steps, so that calls of different lengths share a model and its compiled programs.
        step = min(1 << (max(periods, 64) - 1).bit_length(), 1024)
        return replace(self, periods=-(-periods // step) * step)

    @property
    def endless(self) -> str | None:
        """A pointer to the field of a part that varies in time without a length; None if there is none."""
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
    """Build the model of wire fields, with or without `initial`; not cached.

    Raises:
        ModelError: a field is out of its range; points to it.
    """
    fields = dict(fields) | ({"periods": periods} if periods else {})
    initial = fields.pop("initial", None)
    return KINDS[kind](**fields, initial=None if initial is None else _initial(initial))


# A cache of the process: specs arrive by value, one per call, and equal ones must become the same `Model` within a
# batch. A cache of an object would have to be sent with each of them.
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

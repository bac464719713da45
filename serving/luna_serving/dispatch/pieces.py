"""Large answers of replicas: bytes in the shared memory of a machine, which the receiver reads where they are.

A result of a call is pickled, sent and unpickled, each of which copies it. `put` copies once, into Ray's object store;
`fetched` maps that memory (from another machine, Ray fetches it first).
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import RayError

from luna_serving.dispatch.outcomes import ReplicaUnavailable

Reference: TypeAlias = "ray.ObjectRef[NDArray[np.uint8]]"


class Large:
    """A job whose answer may be `Stored`."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """What a replica answers: the pieces of a body, in order."""

    pieces: tuple["Reference | bytes", ...]
    size: int
    """Bytes of all."""


def put(data: NDArray[np.uint8]) -> "Reference | bytes":
    """Copy bytes into the object store; the array may be written to again afterwards. May be called in any thread.

    A process without Ray, such as a test of a replica, keeps a copy of its own.
    """
    return ray.put(data) if ray.is_initialized() else data.tobytes()


@dataclass(frozen=True, slots=True)
class Body:
    """The bytes of an answer, in pieces that are views of shared memory: do not write to them."""

    pieces: Sequence[memoryview]
    size: int

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        for piece in self.pieces:
            yield piece

    def joined(self) -> bytes:
        """A copy of all."""
        return b"".join(self.pieces)


async def fetched(stored: Stored) -> Body:
    """The bytes of an answer, on this machine.

    Raises:
        ReplicaUnavailable: the replica has died, and its objects with it.
    """
    references = [each for each in stored.pieces if not isinstance(each, bytes)]
    try:
        # At once: each asks its owner where it is.
        arrays = dict(zip(references, await asyncio.gather(*references), strict=True))
    except RayError as e:
        raise ReplicaUnavailable(str(e)) from e
    pieces = [memoryview(each) if isinstance(each, bytes) else arrays[each].data for each in stored.pieces]
    return Body(pieces, stored.size)

"""Parsed calls of the Kalman routes, which implement `luna_serving.dispatch.work.Work`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from luna_serving.capabilities.kalman.jobs.job import Job
from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec
from luna_serving.capabilities.kalman.wire.binary import TYPES
from luna_serving.capabilities.kalman.wire.series import MAX_SERIES_PER_REQUEST, amounts
from luna_serving.dispatch.work import Rendered
from luna_serving.wire.problems import FieldError
from luna_store.quota.debits import Grant


class Measured(Protocol):
    """A job with its sizes."""

    @property
    def model(self) -> ModelSpec:
        """The job's model."""

    @property
    def lengths(self) -> tuple[int, ...]:
        """Points of each series of the call."""

    @property
    def points(self) -> int:
        """Points to compute."""

    @property
    def longest(self) -> int:
        """Points of the longest series, including those to draw beyond its end."""


J = TypeVar("J", bound=Measured)


@dataclass(frozen=True, slots=True)
class KalmanWork(Generic[J]):
    """A call whose answer the replica renders."""

    job: J

    @property
    def units(self) -> int:
        """Series in the call; a call without series costs one unit."""
        return len(self.job.lengths) or 1

    @property
    def grant(self) -> Grant:
        """The grant to use the model's kind."""
        return Grant("kalman", self.job.model.kind)

    @property
    def points(self) -> int:
        """Points to compute."""
        return self.job.points

    @property
    def amounts(self) -> Mapping[str, int]:
        """The number of series, and the points of the longest."""
        return amounts(self.units, self.job.longest)

    def limit_error(self, limit: str, most: int) -> FieldError:
        """The error for more or longer series, or longer paths, than the account may send."""
        lengths = self.job.lengths
        if limit == MAX_SERIES_PER_REQUEST:
            wrong = f"Holds {len(lengths)} series; this account may send {most}. Split the call."
            return FieldError("/observations", wrong)
        for i, length in enumerate(lengths):
            if length > most:
                return _too_long(f"/observations/{i}", length, most)
        wrong = f"Would draw {self.job.longest} periods; this account may draw {most}. Draw fewer."
        return FieldError("/steps" if lengths else "/length", wrong)

    def finish(self, result: bytes) -> bytes | Rendered:
        """The replica's bytes."""
        return result


@dataclass(frozen=True, slots=True)
class BinaryWork(KalmanWork[Job]):
    """A call whose answer is not JSON."""

    def finish(self, result: bytes) -> Rendered:
        """The replica's bytes, with their type."""
        return Rendered(result, [(b"content-type", TYPES[self.job.form]), (b"vary", b"accept")])


@dataclass(frozen=True, slots=True)
class OriginalWork(KalmanWork[Job]):
    """A call of `/kalman`, whose answer repeats the series."""

    echo: bytes
    """The bytes of `results` as they were sent."""

    def limit_error(self, limit: str, most: int) -> FieldError:
        """The error for a series that is longer than its account may send."""
        del limit  # it is one series
        return _too_long("/results", self.job.points, most)

    def finish(self, result: bytes) -> bytes:
        """The body of the answer, from the JSON array of means."""
        return b"".join((b'{"processed_results":', result, b',"input_data":', self.echo, b"}"))


def _too_long(pointer: str, length: int, most: int) -> FieldError:
    return FieldError(pointer, f"Has {length} points; this account may send {most} per series. Split it.")

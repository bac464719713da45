"""What a compute process imports of the capability `mean`."""

from collections.abc import Sequence
from dataclasses import dataclass

from luna_serving.dispatch.outcomes import Refused


@dataclass(frozen=True, slots=True)
class MeanJob:
    numbers: tuple[float, ...]


class MeanReplica:
    def __init__(self, settings: object, registry: object) -> None:
        self._given = settings, registry

    async def warm_up(self) -> None: ...

    def ping(self) -> None: ...

    async def compute(self, jobs: Sequence[MeanJob]) -> Sequence[float | Refused]:
        means = [sum(job.numbers) / len(job.numbers) for job in jobs]
        return [m if abs(m) < float("inf") else Refused("/numbers", "Their sum overflows float64.") for m in means]

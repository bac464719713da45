"""What a compute process imports of the capability `mean`."""

from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter

from luna_serving.dispatch.outcomes import Refused


@dataclass(frozen=True, slots=True)
class MeanJob:
    numbers: tuple[float, ...]


class MeanReplica:
    def __init__(self, settings: object, registry: CollectorRegistry) -> None:
        self._settings = settings
        self._computed = Counter("luna_mean_jobs_total", "Means that were computed.", registry=registry)

    async def warm_up(self) -> None: ...

    def ping(self) -> None: ...

    async def compute(self, jobs: Sequence[MeanJob]) -> Sequence[float | Refused]:
        self._computed.inc(len(jobs))
        means = [sum(job.numbers) / len(job.numbers) for job in jobs]
        return [m if abs(m) < float("inf") else Refused("/numbers", "Their sum overflows float64.") for m in means]

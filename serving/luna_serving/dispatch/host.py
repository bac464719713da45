"""The Serve deployment that computes: one process with the replicas of one or more capabilities.

A process with JAX costs 0.3 GB and seconds of start, so small installations let capabilities share a host.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from luna_serving.telemetry.board_deployment import Reporter


class Replica(Protocol):
    """The part of a capability that computes. Constructed with the capability's settings."""

    def __init__(self, settings: Any) -> None:  # noqa: ANN401  the capability's own
        """Prepare; the event loop runs already."""

    async def warm_up(self) -> None:
        """Compile what live calls need; the host is ready afterwards."""

    def ping(self) -> None:
        """Raise if it can compute no longer. Cheap, and counts nothing."""

    async def compute(self, jobs: Sequence[Any]) -> Sequence[Any]:
        """Answer jobs in their order: a result, or a value of `dispatch.outcomes`."""


class ComputeHost:
    """Hosts the replicas of capabilities."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self,
        board: Any,  # noqa: ANN401  a DeploymentHandle
        name: str,
        replicas: Mapping[str, tuple[type[Replica], Any]],
    ) -> None:
        """Start and warm up.

        Args:
            board: the metrics board.
            name: of the host.
            replicas: by capability, what computes and its settings.
        """
        self._replicas = {capability: kind(settings) for capability, (kind, settings) in replicas.items()}
        for replica in self._replicas.values():
            await replica.warm_up()
        Reporter(board).start(name)

    async def compute(self, capability: str, jobs: Sequence[Any]) -> Sequence[Any]:
        """Answer jobs of one capability, in their order."""
        return await self._replicas[capability].compute(jobs)

    async def ping(self, capability: str) -> None:
        """Raise if the capability's replica can compute no longer."""
        self._replicas[capability].ping()

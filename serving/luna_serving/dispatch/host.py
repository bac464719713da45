"""The Serve deployment that computes: one process with the replicas of one or more capabilities.

A process with JAX takes 0.3 GB and seconds to start, so capabilities share a host in small installations.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from luna_serving.telemetry.board_deployment import Reporter


class Replica(Protocol):
    """The part of a capability that computes. Constructed with the capability's settings."""

    def __init__(self, settings: Any) -> None:  # noqa: ANN401  the capability's own
        """Construct it; the event loop is running."""

    async def warm_up(self) -> None:
        """Compile the programs that live calls need; the host is ready afterwards."""

    def ping(self) -> None:
        """Raise if it can no longer compute. Cheap, and changes no metrics."""

    async def compute(self, jobs: Sequence[Any]) -> Sequence[Any]:
        """Answer jobs in order: each with a result, or a value of `dispatch.outcomes`."""


class ComputeHost:
    """Hosts the replicas of capabilities."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self,
        board: Any,  # noqa: ANN401  a DeploymentHandle
        name: str,
        replicas: Mapping[str, tuple[type[Replica], Any]],
    ) -> None:
        """Start the replicas and warm them up.

        Args:
            board: the metrics board.
            name: of the host.
            replicas: by capability, the class of its replica and its settings.
        """
        self._replicas = {capability: kind(settings) for capability, (kind, settings) in replicas.items()}
        for replica in self._replicas.values():
            await replica.warm_up()
        Reporter(board).start(name)

    async def compute(self, capability: str, jobs: Sequence[Any]) -> Sequence[Any]:
        """Answer jobs of one capability, in order."""
        return await self._replicas[capability].compute(jobs)

    async def ping(self, capability: str) -> None:
        """Raise if a replica can no longer compute."""
        self._replicas[capability].ping()

"""The Serve deployment that computes: one process with the replicas of one or more capabilities.

A process with JAX takes 0.3 GB and seconds to start, so capabilities share a host in small installations.
"""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from prometheus_client import CollectorRegistry

from luna_serving.settings import LogSettings, TraceSettings
from luna_serving.telemetry.board_deployment import Reporter
from luna_serving.telemetry.process import begin
from luna_store.platform.logs import CONTEXT

if TYPE_CHECKING:
    from luna_store.platform.traces import Traces


class Replica(Protocol):
    """The part of a capability that computes."""

    def __init__(self, settings: Any, registry: CollectorRegistry) -> None:  # noqa: ANN401  the capability's own
        """Construct it; the event loop is running.

        Args:
            settings: the capability's.
            registry: of the process, for the capability's own metrics.
        """

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
        log: LogSettings,
        trace: TraceSettings,
    ) -> None:
        """Start the replicas and warm them up.

        Args:
            board: the metrics board.
            name: of the host.
            replicas: by capability, the class of its replica and its settings.
            log: how lines look.
            trace: where spans go.
        """
        telemetry = begin(name, log, trace)
        self._traces = telemetry.traces
        self._replicas = {
            capability: kind(settings, telemetry.registry) for capability, (kind, settings) in replicas.items()
        }
        # At once: compilers have a core each.
        await asyncio.gather(*(replica.warm_up() for replica in self._replicas.values()))
        Reporter(board, telemetry.registry).start(name)

    async def compute(self, capability: str, jobs: Sequence[Any], traceparent: str = "") -> Sequence[Any]:
        """Answer jobs of one capability, in order.

        Args:
            capability: whose.
            jobs: of one batch.
            traceparent: of the batch's span; empty where it is not traced.
        """
        # Every call is a task of its own: its lines, and no others, carry this.
        CONTEXT.set({"capability": capability})
        if self._traces is None or not traceparent:
            return await self._replicas[capability].compute(jobs)
        return await self._traced(self._traces, capability, jobs, traceparent)

    async def _traced(self, traces: "Traces", capability: str, jobs: Sequence[Any], traceparent: str) -> Sequence[Any]:
        CONTEXT.set({"capability": capability, "trace_id": traceparent.split("-")[1]})
        with traces.child(
            f"compute {capability}", traceparent, {"luna.capability": capability, "luna.jobs": len(jobs)}
        ):
            return await self._replicas[capability].compute(jobs)

    async def ping(self, capability: str) -> None:
        """Raise if a replica can no longer compute."""
        self._replicas[capability].ping()

    async def device(self) -> str:
        """What it computes on: `cpu`, or the name of the GPU, with their number if there are several."""
        jax = sys.modules.get("jax")  # a host of capabilities without JAX does not import it for this
        devices = [each.device_kind for each in jax.devices()] if jax else ["cpu"]
        return str(devices[0]) if len(devices) == 1 else f"{len(devices)} x {devices[0]}"

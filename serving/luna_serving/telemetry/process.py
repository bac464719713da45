"""What every process of the application begins with: its log lines, its registry, its spans."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from luna_serving.settings import LogSettings, TraceSettings
from luna_store.platform.logs import configure

if TYPE_CHECKING:
    from luna_store.platform.traces import Traces


@dataclass(frozen=True, slots=True)
class ProcessTelemetry:
    """Of one process."""

    registry: CollectorRegistry
    """Luna's own metrics. Those of the process (memory, files) are in prometheus-client's registry."""
    traces: "Traces | None"
    """None: spans are off."""


def begin(service: str, log: LogSettings, trace: TraceSettings) -> ProcessTelemetry:
    """Configure the logs of this process, and make what it counts and traces with.

    Args:
        service: names the process in spans, behind `luna-`.
        log: how lines look.
        trace: where spans go.
    """
    configure(log.format, log.level)
    return ProcessTelemetry(CollectorRegistry(), traces_of(service, trace))


def traces_of(service: str, trace: TraceSettings) -> "Traces | None":
    """The spans of a process; None where no endpoint is set."""
    if not trace.endpoint:
        return None
    # Imported here: it takes 0.2 s, and traces are off by default.
    from luna_store.platform.traces import Traces

    return Traces.to(trace.endpoint, f"luna-{service}", trace.ratio)

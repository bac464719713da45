"""What is kept about what happened: the logs in Postgres, log lines, spans."""

from typing import Literal

from pydantic import Field

from luna_serving.settings.group import Group


class RequestsSettings(Group):
    """The request log: a row per answered request, in Postgres."""

    log: bool = Field(default=True, description="Whether requests are logged; `GET /api/v1/requests` shows the rows.")
    probes: bool = Field(
        default=False, description="Whether health checks and /metrics are logged, which come every few seconds."
    )
    flush_s: float = Field(
        1.0, gt=0, le=60, description="Seconds between two writes: what a process that is killed loses at most."
    )
    unknown_rows: int = Field(
        100, ge=0, description="Rows per flush for unknown callers: a flood of them does not fill the disk."
    )
    batch_rows: int = Field(2_000, ge=1, le=100_000, description="Rows in one transaction: bounds how long it takes.")
    memory_rows: int = Field(
        50_000,
        ge=1,
        description="Rows that wait in memory while Postgres is gone, about 200 bytes each; beyond, the oldest are "
        "dropped and counted.",
    )
    retention_days: int = Field(30, ge=1, le=3650, description="Days that rows are kept, whole days of UTC.")


class AuditSettings(Group):
    """The audit log: who changed accounts, keys, members and models."""

    retention_days: int = Field(
        400, ge=1, le=36_500, description="Days that an entry is kept at least; it goes with the last one of its month."
    )


class LogSettings(Group):
    """Log lines of every process, on its standard error."""

    format: Literal["json", "text"] = Field("json", description="json, an object per line, or text.")
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="The least severe level logged.")


class TraceSettings(Group):
    """OpenTelemetry spans of every process."""

    endpoint: str = Field(
        "", description="An OTLP/HTTP collector, such as http://collector:4318/v1/traces; empty: no spans."
    )
    ratio: float = Field(
        1.0, ge=0, le=1, description="Share of traces that are recorded where the caller's traceparent does not say."
    )

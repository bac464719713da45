"""The wire schemas of answers."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

Number = float | str


class RuleAnswer(BaseModel):
    """A rule, in the form in which it was put, with how it does."""

    model_config = ConfigDict(extra="allow")

    id: str
    name: str
    kind: str = Field(description="`expr`, `threshold` or `anomaly`.")
    query: str = Field(description="The PromQL that is evaluated.")
    webhook: str | None = Field(None, description="Viewers see its scheme and host alone.")
    state: str = Field(description="`inactive`, `pending` or `firing`: the greatest of its alerts.")
    health: str = Field(description="`unknown` before the first evaluation, `ok`, or `err`: its alerts stay then.")
    last_error: str | None
    warnings: list[str]
    last_evaluation: int | None = Field(description="Milliseconds since 1970.")
    next_evaluation: int = Field(description="Milliseconds since 1970.")
    evaluation_seconds: float | None
    missed: int = Field(description="Evaluations that were not made, because the ones before were late.")
    created_at: int = Field(description="Milliseconds since 1970.")
    changed_at: int = Field(description="Milliseconds since 1970.")


class CreatedRule(RuleAnswer):
    """A rule that was created or got a webhook."""

    secret: str | None = Field(None, description="`whsec_...`: signs the messages to the webhook. Shown once.")


class RulePage(BaseModel):
    """Rules in the order of their creation."""

    items: list[RuleAnswer]
    next_cursor: str | None


class ActiveAlert(BaseModel):
    """An alert. Instants are milliseconds since 1970."""

    id: str
    rule_id: str
    name: str
    state: str = Field(description="`pending`, `firing` or `resolved`.")
    labels: dict[str, str]
    annotations: dict[str, str]
    value: Number = Field(description="Of the last evaluation; a text where JSON has no such number.")
    active_at: int
    fired_at: int | None
    resolved_at: int | None = None
    silenced: bool | None = Field(None, description="In the list of active alerts: whether a silence holds it back.")


class AlertPage(BaseModel):
    """Pending and firing alerts, the oldest first."""

    alerts: list[ActiveAlert]
    next_cursor: str | None


class HistoryItem(BaseModel):
    """An alert that fired. Instants are milliseconds since 1970."""

    id: str
    rule_id: str
    name: str
    state: str = Field(description="`firing` or `resolved`.")
    labels: dict[str, str]
    annotations: dict[str, str]
    value: Number
    active_at: int
    fired_at: int
    resolved_at: int | None
    resolved_by: str | None = Field(description="`hand` or `rule` (changed or deleted); null: its condition.")


class HistoryPage(BaseModel):
    """Alerts that fired, the newest first."""

    items: list[HistoryItem]
    next_cursor: str | None


class PrometheusAnswer(BaseModel):
    """As Prometheus answers."""

    status: str
    data: dict[str, Any]

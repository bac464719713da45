"""The settings of alerts: LUNA_ALERTS_<FIELD>."""

from pydantic import Field

from luna_serving.settings import CapabilitySettings


class AlertsSettings(CapabilitySettings):
    """Rules, their evaluation and delivery ([alerts](alerts.md))."""

    rules_at_once: int = Field(
        2_000, ge=1, le=100_000, description="Rules that are evaluated at once; the most overdue ones first."
    )
    batch_rules: int = Field(
        250, ge=1, le=10_000, description="Rules of one account in one question to its shard and in one transaction."
    )
    query_timeout_s: float = Field(
        10.0, gt=0, le=60, description="Seconds that a shard has for a batch; a rule that takes longer fails."
    )
    slow_s: float = Field(
        1.0, gt=0, description="Seconds after which a rule is asked by itself, so that it holds up no other."
    )
    max_alerts: int = Field(
        1_000,
        ge=1,
        le=100_000,
        description="Alerts of one rule; an evaluation with more fails, and its alerts stay as they are.",
    )
    max_silences: int = Field(1_000, ge=1, description="Silences of an account that have not ended.")
    repeat_s: float = Field(
        14_400.0, gt=0, description="Seconds after which a webhook is sent an alert again that still fires."
    )
    resend_s: float = Field(
        60.0, gt=0, description="Seconds after which an Alertmanager is sent an alert again; Prometheus' resend delay."
    )
    resolved_s: float = Field(
        900.0,
        ge=0,
        description="Seconds for which an Alertmanager is sent that an alert has ended, as Prometheus does.",
    )
    retry_s: float = Field(
        86_400.0, gt=0, description="Seconds after which a message that no receiver takes is given up."
    )
    waiting_per_rule: int = Field(
        1_000,
        ge=2,
        description="Messages that wait for the webhook of one rule; beyond it the oldest untried ones are dropped. A "
        "rule that flaps every 15 s before a receiver that is gone reaches it after four hours.",
    )
    at_once: int = Field(32, ge=1, le=1_000, description="Messages to webhooks that are sent at once.")
    at_once_per_account: int = Field(
        8, ge=1, description="Those of them that belong to one account: its slow receivers hold up no other's."
    )
    kept_days: int = Field(90, ge=1, description="Days that alerts that ended are kept.")
    event_hours: float = Field(
        72.0, gt=0, description="Hours that changes are kept for subscribers who resume behind a number."
    )
    simulated_evaluations: int = Field(
        11_000, ge=1, le=1_000_000, description="Evaluations of one simulation; Prometheus' limit of points."
    )

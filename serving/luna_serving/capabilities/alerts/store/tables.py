"""The tables of the alerts capability, typed; `migrations/versions` creates them and a test compares."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, LargeBinary, Uuid, func, text
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from luna_store.platform.table import Table

ACCOUNT = "accounts.id"
RULE = "alert_rules.id"
ACTIVE = "state IN ('pending', 'firing')"


class AlertRule(Table):
    """A rule, as its owner put it. What the evaluation changes is in `alert_schedule`."""

    __tablename__ = "alert_rules"
    __table_args__ = (Index("ix_alert_rules_account_id_id", "account_id", "id"),)

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey(ACCOUNT, ondelete="CASCADE"))
    name: Mapped[str]
    document: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """As it was put, with defaults filled in; without the secret."""
    webhook_secret: Mapped[str | None]
    """`whsec_` and base64, for a rule with a webhook."""
    revision: Mapped[uuid.UUID] = mapped_column(Uuid)
    """Another one after each change: the entity tag."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())


class AlertSchedule(Table):
    """When a rule is evaluated next, and how the last evaluation went."""

    __tablename__ = "alert_schedule"
    __table_args__ = (Index("ix_alert_schedule_next_at", "next_at"), {"postgresql_with": {"fillfactor": "70"}})

    rule_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(RULE, ondelete="CASCADE"), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey(ACCOUNT, ondelete="CASCADE"))
    generation: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Counts changes from outside of the evaluation: one that began before is dropped."""
    next_at: Mapped[datetime]
    """The time of the next evaluation: PromQL is evaluated at this instant."""
    last_at: Mapped[datetime | None]
    seconds: Mapped[float | None] = mapped_column(DOUBLE_PRECISION)
    """Of the last evaluation."""
    error: Mapped[str | None]
    """Of the last evaluation; null if it was well."""
    warnings: Mapped[list[str] | None] = mapped_column(JSONB)
    data_at: Mapped[datetime | None]
    """The last evaluation at which a selector of the rule had samples."""
    missed: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Evaluations that were not made, because nothing evaluated at their time."""


class Alert(Table):
    """One alert from its first pending evaluation to its end. Rows outlive their rule, as history."""

    __tablename__ = "alerts"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'firing', 'resolved')", name="state"),
        CheckConstraint("(state = 'resolved') = (resolved_at IS NOT NULL)", name="resolved"),
        CheckConstraint("(state = 'pending') = (fired_at IS NULL)", name="fired"),
        Index("ix_alerts_active", "rule_id", "fingerprint", unique=True, postgresql_where=text(ACTIVE)),
        Index("ix_alerts_account_id_active", "account_id", "active_at", "id", postgresql_where=text(ACTIVE)),
        Index(
            "ix_alerts_account_id_fired_at",
            "account_id",
            "fired_at",
            "id",
            postgresql_where=text("fired_at IS NOT NULL"),
        ),
        Index("ix_alerts_rule_id", "rule_id"),
        # Those that an Alertmanager still hears of.
        Index("ix_alerts_announced", "announce_at", postgresql_where=text("announce_at IS NOT NULL")),
        {"postgresql_with": {"fillfactor": "70"}},
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey(ACCOUNT, ondelete="CASCADE"))
    rule_id: Mapped[uuid.UUID]
    name: Mapped[str]
    """Of the rule."""
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    """SHA-256 of the labels."""
    labels: Mapped[dict[str, str]] = mapped_column(JSONB)
    annotations: Mapped[dict[str, str]] = mapped_column(JSONB)
    state: Mapped[str]
    value: Mapped[float] = mapped_column(DOUBLE_PRECISION)
    active_at: Mapped[datetime]
    fired_at: Mapped[datetime | None]
    keep_firing_since: Mapped[datetime | None]
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[str | None]
    """`hand`, `rule` (changed or deleted) or null: the condition."""
    notified_at: Mapped[datetime | None]
    """When the rule's webhook was last sent it as firing; null while it was not, as under a silence."""
    valid_ms: Mapped[int] = mapped_column(BigInteger)
    """How long an Alertmanager takes it as firing after each time that it hears of it."""
    announce_at: Mapped[datetime | None]
    """When Alertmanagers are sent it next; null: never."""


class AlertSequence(Table):
    """Numbers the alert events of an account."""

    __tablename__ = "alert_sequences"

    account_id: Mapped[int] = mapped_column(ForeignKey(ACCOUNT, ondelete="CASCADE"), primary_key=True)
    epoch: Mapped[uuid.UUID] = mapped_column(Uuid, server_default=text("gen_random_uuid()"))
    """Changes when numbering restarts, after a restored backup: numbers of different epochs do not compare."""
    seq: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """The last number given."""


class AlertEvent(Table):
    """One change of an alert, for subscribers who resume behind a number."""

    __tablename__ = "alert_events"
    __table_args__ = (Index("ix_alert_events_at", "at"),)

    account_id: Mapped[int] = mapped_column(ForeignKey(ACCOUNT, ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """Increases by one; committed in order."""
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    alert: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """The alert as lists show it, after the change."""


class AlertNotification(Table):
    """A message to a rule's webhook that is still to be delivered, or was: the outbox."""

    __tablename__ = "alert_notifications"
    __table_args__ = (
        Index("ix_alert_notifications_next_at", "next_at", postgresql_where=text("next_at IS NOT NULL")),
        Index("ix_alert_notifications_rule_id", "rule_id", "place", postgresql_where=text("next_at IS NOT NULL")),
        Index("ix_alert_notifications_created_at", "created_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    """`webhook-id` of every try."""
    place: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    """Messages of a rule are delivered in this order."""
    account_id: Mapped[int] = mapped_column(ForeignKey(ACCOUNT, ondelete="CASCADE"))
    rule_id: Mapped[uuid.UUID]
    url: Mapped[str]
    secret: Mapped[str]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    """JSON, the same at every try."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    tries: Mapped[int] = mapped_column(server_default=text("0"))
    next_at: Mapped[datetime | None] = mapped_column(server_default=func.clock_timestamp())
    """When it is tried next; null once it was delivered or given up."""
    delivered_at: Mapped[datetime | None]
    last_error: Mapped[str | None]


class AlertSilence(Table):
    """Matchers whose alerts are not notified between two instants."""

    __tablename__ = "alert_silences"
    __table_args__ = (
        CheckConstraint("starts_at < ends_at", name="order"),
        Index("ix_alert_silences_account_id_ends_at", "account_id", "ends_at", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey(ACCOUNT, ondelete="CASCADE"))
    matchers: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    created_by: Mapped[str]
    comment: Mapped[str]
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class AlertModel(Table):
    """What an anomaly rule has learnt of one series, and the state in which its filter is."""

    __tablename__ = "alert_models"

    rule_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(RULE, ondelete="CASCADE"), primary_key=True)
    series: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    """`luna_serving.samples.identity.series_key`."""
    account_id: Mapped[int] = mapped_column(ForeignKey(ACCOUNT, ondelete="CASCADE"))
    model: Mapped[bytes] = mapped_column(LargeBinary)
    learnt_at: Mapped[datetime]
    state: Mapped[bytes] = mapped_column(LargeBinary)
    state_at: Mapped[datetime]
    """The last sample that the state has seen."""

"""The tables of jobs, typed; `migrations/versions` creates them and a test compares."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    Uuid,
    desc,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import DOUBLE_PRECISION, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from luna_store.platform.table import Table

ON_JOB = "jobs.id"


class JobRow(Table):
    """One job. Its parameters and result are in `job_data`, so that this row stays small."""

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(
            "status IN ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'expired')", name="status"
        ),
        CheckConstraint("units_reserved >= 0 AND units_used BETWEEN 0 AND units_reserved", name="units"),
        CheckConstraint("(status = 'running') = (lease_until IS NOT NULL)", name="lease"),
        CheckConstraint("(status IN ('queued', 'running')) = (finished_at IS NULL)", name="finished"),
        # Of one account, in the order in which they are claimed.
        Index(
            "ix_jobs_queued",
            "account_id",
            desc("priority"),
            "queued_at",
            "id",
            postgresql_where=text("status = 'queued'"),
        ),
        Index("ix_jobs_running", "account_id", postgresql_where=text("status = 'running'")),
        Index("ix_jobs_lease_until", "lease_until", postgresql_where=text("status = 'running'")),
        Index(
            "ix_jobs_deadline",
            "deadline",
            postgresql_where=text("status = 'queued'"),
        ),
        Index("ix_jobs_account_id_created_at_id", "account_id", "created_at", "id"),
        Index("ix_jobs_expires_at", "expires_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    """UUIDv7."""
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    kind: Mapped[str]
    status: Mapped[str] = mapped_column(server_default="queued")
    priority: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    """Among the jobs of its account; higher ones first."""
    labels: Mapped[dict[str, str]] = mapped_column(JSONB, server_default=text("'{}'"))
    progress: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """`completed`, `total`, `unit`, `estimate`."""
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """A problem of RFC 9457."""
    manifest: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'"))
    """What it takes to run it again, besides its parameters: seeds, digests, versions."""
    debit_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    """Of its charge; a retry has a new one."""
    units_reserved: Mapped[int]
    units_used: Mapped[int] = mapped_column(server_default=text("0"))
    route: Mapped[str]
    """The label of its charge in the ledger."""
    principal: Mapped[str]
    """Who created it, as the request log names callers."""
    attempt: Mapped[int] = mapped_column(server_default=text("0"))
    """Attempts that were begun; those that a stopping worker handed back do not count."""
    fence: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Grows with every change of hands. A worker's writes carry the one of its claim."""
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    """Attempts that failed on the server's side."""
    losses: Mapped[int] = mapped_column(server_default=text("0"))
    """Attempts whose worker was lost."""
    worker: Mapped[str | None]
    """The worker that has it, for people who read the table."""
    lease_until: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    queued_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """When it was queued, at first or by a retry of its caller."""
    run_after: Mapped[datetime] = mapped_column(server_default=func.now())
    """Not claimed before; the back-off of a retry."""
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    deadline: Mapped[datetime]
    """Queued or running, it ends then. The caller's, or the longest that a charge may stay open."""
    expires_at: Mapped[datetime]
    """When it is deleted with its data."""
    data_deleted_at: Mapped[datetime | None]
    webhook_url: Mapped[str | None]


class JobData(Table):
    """The bytes of a job."""

    __tablename__ = "job_data"

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(ON_JOB, ondelete="CASCADE"), primary_key=True)
    parameters: Mapped[bytes] = mapped_column(LargeBinary)
    """JSON, complete: named models and seeds are filled in."""
    checkpoint: Mapped[bytes | None] = mapped_column(LargeBinary)
    """Where the next attempt goes on."""
    result: Mapped[bytes | None] = mapped_column(LargeBinary)
    """JSON; of a cancelled job its partial result."""


class JobLane(Table):
    """An account's place in the turns of all accounts: stride scheduling (Waldspurger and Weihl, 1995)."""

    __tablename__ = "job_lanes"
    __table_args__ = (Index("ix_job_lanes_pass", "pass"),)

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    pass_: Mapped[float] = mapped_column("pass", DOUBLE_PRECISION, server_default=text("0"))
    """Grows by 1 / weight with each job; the least is next."""


class JobAttempt(Table):
    """One attempt at a job."""

    __tablename__ = "job_attempts"

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(ON_JOB, ondelete="CASCADE"), primary_key=True)
    fence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    attempt: Mapped[int]
    worker: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
    """A status, `failed-here` (to be tried again), `worker-lost` or `handed-back`; null while it runs."""


class JobEvent(Table):
    """One change of a job, for those who watch."""

    __tablename__ = "job_events"
    __table_args__ = (
        Index("ix_job_events_account_id_id", "account_id", "id"),
        Index("ix_job_events_job_id_id", "job_id", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(ON_JOB, ondelete="CASCADE"))
    account_id: Mapped[int]
    event: Mapped[str]
    """A status, or `progress`."""
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """The members of the job that change, as they were then."""
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())


class JobArtifact(Table):
    """A file that a job made: a chart, a report."""

    __tablename__ = "job_artifacts"
    __table_args__ = (CheckConstraint("(body IS NULL) <> (object_key IS NULL)", name="place"),)

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(ON_JOB, ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    media_type: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    """Bytes."""
    sha256: Mapped[str]
    body: Mapped[bytes | None] = mapped_column(LargeBinary)
    object_key: Mapped[str | None]
    """In the object store, where it is large."""


class WebhookDelivery(Table):
    """A message to a webhook that is still to be delivered, or was: the outbox."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("ix_webhook_deliveries_next_at", "next_at", postgresql_where=text("next_at IS NOT NULL")),
        Index("ix_webhook_deliveries_job_id", "job_id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, server_default=text("gen_random_uuid()"))
    """`webhook-id` of every try."""
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(ON_JOB, ondelete="CASCADE"))
    account_id: Mapped[int]
    url: Mapped[str]
    event: Mapped[str]
    data: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """The members of the job that change, as they were when it ended: every try sends the same."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    tries: Mapped[int] = mapped_column(server_default=text("0"))
    next_at: Mapped[datetime | None] = mapped_column(server_default=func.clock_timestamp())
    """When it is tried next; null once it was delivered or given up."""
    delivered_at: Mapped[datetime | None]
    last_error: Mapped[str | None]


class WebhookSecret(Table):
    """What signs the messages of an account; made when it is first needed."""

    __tablename__ = "webhook_secrets"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    secret: Mapped[str]
    """`whsec_` and base64, as its owner sees it: both sides of a shared secret need its text."""
    previous: Mapped[str | None]
    """The one before, which signs as well for a day after a rotation."""
    rotated_at: Mapped[datetime] = mapped_column(server_default=func.now())

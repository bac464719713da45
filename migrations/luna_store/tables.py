"""The Postgres schema, typed (SQLAlchemy 2.1). Alembic's `versions/` creates it; a test holds the two together.

Rows are read and written through the functions of this package, which know the locking rules; nothing else in
Luna writes to these tables.
"""

import uuid
from datetime import datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# Named by rule, so that a migration can drop what an earlier one made.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

DEFAULT_QUOTA_LIMIT = 500
DEFAULT_RATE_PER_SECOND = 50.0
DEFAULT_RATE_BURST = 100
# Within these GCRA's microseconds are exact: burst / rate stays below 2^53.
RATE_LOWEST = 0.001
RATE_HIGHEST = 1e6


class Table(DeclarativeBase):
    """The declarative base: text columns, time stamps with a zone, named constraints."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: DateTime(timezone=True), str: Text}  # noqa: RUF012  SQLAlchemy's contract


class Account(Table):
    """A team that may call: its standing, its quota and its rate."""

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint("state IN ('active', 'suspended', 'revoked')", name="state"),
        CheckConstraint("quota_window IN ('Lifetime', 'Day', 'Month')", name="quota_window"),
        CheckConstraint("quota_limit >= 0", name="quota_limit"),
        CheckConstraint("rate_per_second BETWEEN 0.001 AND 1000000 AND rate_burst BETWEEN 1 AND 1000000", name="rate"),
        CheckConstraint("max_series_length > 0 AND max_series_per_request > 0 AND history_days > 0", name="limits"),
        Index("ix_accounts_cache_stale", "id", postgresql_where=text("cache_stale")),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    uid: Mapped[uuid.UUID | None] = mapped_column(Uuid, unique=True)
    """The custom resource's metadata.uid; null for an account made from the command line."""
    account_name: Mapped[str] = mapped_column(unique=True)
    """`<namespace>/<name>` of the custom resource."""
    display_name: Mapped[str] = mapped_column(server_default="")
    tier: Mapped[str | None]
    state: Mapped[str] = mapped_column(server_default="active")
    quota_limit: Mapped[int] = mapped_column(server_default=text(str(DEFAULT_QUOTA_LIMIT)))
    """Units (series) that may be used in one window."""
    quota_used: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Units of this window that have been settled."""
    quota_window: Mapped[str] = mapped_column(server_default="Lifetime")
    window_started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """Events before this instant are history: they no longer count against the quota."""
    rate_per_second: Mapped[float] = mapped_column(server_default=text(str(int(DEFAULT_RATE_PER_SECOND))))
    rate_burst: Mapped[int] = mapped_column(server_default=text(str(DEFAULT_RATE_BURST)))
    allowed_models: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{*}'"))
    expires_at: Mapped[datetime | None]
    max_series_length: Mapped[int | None]
    """Points of one series; null for the server's own limit, as with the next."""
    max_series_per_request: Mapped[int | None]
    history_days: Mapped[int | None]
    """Usage before so many days is not shown; null shows all."""
    cache_epoch: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """How often this account's Redis keys were rebuilt; stands in the id of every event."""
    cache_stale: Mapped[bool] = mapped_column(server_default=text("true"))
    """True while Redis may differ from this row; settlement rebuilds and clears it."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())


class ApiKey(Table):
    """One key of an account. The key itself is never stored, see `luna_store.api_keys`."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("ix_api_keys_account_id", "account_id"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    prefix: Mapped[str] = mapped_column(unique=True)
    """`luna_` and the key's public id: what logs and status may show."""
    digest: Mapped[str] = mapped_column(unique=True)
    """HMAC-SHA256(pepper, key), lower-case hexadecimal."""
    pepper_id: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]
    """The end of a rotation's overlap, or of the wait of a pending key; null while the key is the current one."""
    revoked_at: Mapped[datetime | None]
    pending: Mapped[bool] = mapped_column(server_default=text("false"))
    """Valid, but not yet known to be where its owner finds it; see `luna_store.provisioning`."""
    rotation_requested_at: Mapped[datetime | None]
    """The instant of the request to rotate that this key answers; null for none."""


class UsageEvent(Table):
    """One debit (positive units), refund (negative) or void (zero). Append-only, partitioned by month.

    Postgres wants the partition column in the primary key. `occurred_at` is a function of the stream id, so
    (stream_id, occurred_at) is unique exactly where stream_id is.
    """

    __tablename__ = "usage_events"
    __table_args__ = (
        Index("ix_usage_events_debit_id", "debit_id"),
        Index("ix_usage_events_account_id_occurred_at", "account_id", "occurred_at"),
        Index("ix_usage_events_occurred_at", "occurred_at", postgresql_using="brin"),
        {"postgresql_partition_by": "RANGE (occurred_at)"},
    )

    stream_id: Mapped[str] = mapped_column(primary_key=True)
    """`<account>-<epoch>-<Redis stream id>`, or `pg-...` for what was booked without Redis."""
    occurred_at: Mapped[datetime] = mapped_column(primary_key=True)
    debit_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    """Names the debit whichever store took it, so that a debit taken twice counts once."""
    account_id: Mapped[int]
    """No foreign key: the ledger outlives its account."""
    units: Mapped[int]
    route: Mapped[str]
    origin: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    """Of a refund: the debit that it gives back. A void bears its debit's own id instead."""


class NamedModel(Table):
    """A name under which an account keeps the versions `first_version` to `last_version` of a model.

    The row outlives the deletion of its versions, which leaves it an empty span: a later model of the same name goes
    on counting, and what (account, name, version) means never changes.
    """

    __tablename__ = "named_models"
    __table_args__ = (
        CheckConstraint("name ~ '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$'", name="name"),
        CheckConstraint("first_version BETWEEN 1 AND last_version + 1", name="versions"),
    )

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    first_version: Mapped[int]
    """The oldest version that was not deleted; `last_version` + 1 where none is left."""
    last_version: Mapped[int]
    """The highest number ever given."""
    stored_bytes: Mapped[int] = mapped_column(BigInteger)
    """What its versions weigh against the account's limit; 0 once deleted."""


class ModelVersion(Table):
    """One immutable document of a named model."""

    __tablename__ = "model_versions"
    __table_args__ = (
        ForeignKeyConstraint(
            ["account_id", "name"], ["named_models.account_id", "named_models.name"], ondelete="CASCADE"
        ),
    )

    account_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kind: Mapped[str]
    document: Mapped[str]
    """JSON as text: jsonb would print numbers differently from how they came (1e22 as an integer of 23 digits)."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class KalmanStream(Table):
    """A series that is filtered as it arrives; see `luna_store.kalman_streams`."""

    __tablename__ = "kalman_streams"
    __table_args__ = (Index("ix_kalman_streams_account_id_updated_at", "account_id", "updated_at"),)

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    model: Mapped[str]
    """The model's kind or name, for lists."""
    document: Mapped[str]
    """How it was opened, JSON: the model and the options."""
    state: Mapped[str | None]
    """Where the filter stands after the last point, JSON; null before the first. Text, as jsonb has no -0.0."""
    sequence: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Points taken."""
    epoch: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    """Counts the claims on the stream: what an earlier holder still wants to write is refused by it."""
    held: Mapped[bool] = mapped_column(server_default=text("true"))
    """False once its holder has let it go in good order, with no debit that nobody answers for."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class KalmanStreamAnswer(Table):
    """The answer to one message of points, for as long as its client may ask for it again."""

    __tablename__ = "kalman_stream_answers"

    stream_id: Mapped[uuid.UUID] = mapped_column(
        Uuid, ForeignKey("kalman_streams.id", ondelete="CASCADE"), primary_key=True
    )
    last_sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    first_sequence: Mapped[int] = mapped_column(BigInteger)
    points: Mapped[str]
    """JSON: a list with one object a point."""

"""The tables of the Kalman capability, typed; `migrations/versions` creates them and a test compares."""

import uuid
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Uuid,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from luna_store.platform.table import Table


class NamedModel(Table):
    """A name under which an account keeps the versions `first_version` to `last_version` of a model.

    The row outlives the deletion of its versions, after which its span is empty. A later model of the same name
    continues the numbers, so the document of (account, name, version) never changes.
    """

    __tablename__ = "named_models"
    __table_args__ = (
        CheckConstraint("name ~ '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$'", name="name"),
        CheckConstraint("first_version BETWEEN 1 AND last_version + 1", name="versions"),
    )

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    first_version: Mapped[int]
    """The oldest version that was not deleted; `last_version` + 1 if none is left."""
    last_version: Mapped[int]
    """The highest number ever used."""
    stored_bytes: Mapped[int] = mapped_column(BigInteger)
    """Bytes of its versions that count against the account's limit; 0 after deletion."""


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
    """JSON as text: jsonb would change the form of numbers (1e22 to an integer of 23 digits)."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class KalmanStream(Table):
    """A series that is filtered as it arrives; see `luna_serving.capabilities.kalman.store.streams`."""

    __tablename__ = "kalman_streams"
    __table_args__ = (Index("ix_kalman_streams_account_id_updated_at", "account_id", "updated_at"),)

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    model: Mapped[str]
    """The model's kind or name, for lists."""
    document: Mapped[str]
    """The model and options with which it was opened, as JSON."""
    state: Mapped[str | None]
    """The filter's state after the last point, as JSON; null before the first. Text, because jsonb has no -0.0."""
    sequence: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Points taken."""
    epoch: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    """Counts the claims on the stream; writes of earlier holders are refused."""
    held: Mapped[bool] = mapped_column(server_default=text("true"))
    """False after its holder released it with no open debit."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class KalmanStreamAnswer(Table):
    """The answer to one message of points, kept while the client may request it again."""

    __tablename__ = "kalman_stream_answers"

    stream_id: Mapped[uuid.UUID] = mapped_column(
        Uuid, ForeignKey("kalman_streams.id", ondelete="CASCADE"), primary_key=True
    )
    last_sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    first_sequence: Mapped[int] = mapped_column(BigInteger)
    points: Mapped[str]
    """JSON: a list with one object per point."""

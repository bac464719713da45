"""The tables of data sets, typed; `migrations/versions` creates them and a test compares."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint, Uuid, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from luna_store.platform.table import Table


class DatasetName(Table):
    """A name under which an account keeps sets. The row outlives them, so that a number is never used again."""

    __tablename__ = "dataset_names"
    __table_args__ = (CheckConstraint("name ~ '^[a-z0-9][a-z0-9-]{0,62}$'", name="name"),)

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    last_version: Mapped[int]
    """The highest number ever used."""


class Dataset(Table):
    """A set: what its owner declared, and what became of it."""

    __tablename__ = "datasets"
    __table_args__ = (
        CheckConstraint("state IN ('uploading', 'validating', 'valid', 'invalid', 'failed', 'expired')", name="state"),
        CheckConstraint("type IN ('series', 'ohlcv', 'xray')", name="type"),
        CheckConstraint("(state = 'valid') <= (digest IS NOT NULL)", name="digest"),
        CheckConstraint("(state = 'validating') <= (job_id IS NOT NULL)", name="job"),
        CheckConstraint("reserved_bytes >= 0", name="reserved"),
        UniqueConstraint("account_id", "name", "version", name="uq_datasets_account_id"),
        Index("ix_datasets_account_id_created_at_id", "account_id", "created_at", "id"),
        Index(
            "ix_datasets_unfinished",
            "state",
            "active_at",
            postgresql_where=text("state IN ('uploading', 'validating', 'failed')"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    name: Mapped[str]
    version: Mapped[int]
    type: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="uploading")
    contract: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """As it was sent."""
    file_count: Mapped[int]
    bytes: Mapped[int] = mapped_column(BigInteger)
    """Of all files, as declared."""
    reserved_bytes: Mapped[int] = mapped_column(BigInteger)
    """Of files that have no object yet; they count against the account."""
    digest: Mapped[str | None]
    """Of the manifest, `sha256:<hex>`."""
    job_id: Mapped[uuid.UUID | None] = mapped_column(Uuid)
    """The job that validates it, or did last."""
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    """Why it failed, as a problem of RFC 9457."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    active_at: Mapped[datetime] = mapped_column(server_default=func.now())
    """The last call about an unfinished set; it expires a day later."""
    completed_at: Mapped[datetime | None]
    """When its validation was asked for."""
    validated_at: Mapped[datetime | None]


class DatasetObject(Table):
    """An object in the store, of one account."""

    __tablename__ = "dataset_objects"
    __table_args__ = (
        CheckConstraint("kind IN ('file', 'table', 'report', 'findings', 'bars')", name="kind"),
        CheckConstraint("bytes >= 0", name="bytes"),
        Index("ix_dataset_objects_account_id_sha256", "account_id", "sha256", postgresql_where=text("kind = 'file'")),
        Index("ix_dataset_objects_dataset_id", "dataset_id"),
    )

    key: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    dataset_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    """The set for which it was made. A file may be used by later sets, and outlives this one then."""
    kind: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    verified: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether its bytes were read and have this digest; only then may another set use it."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class DatasetFile(Table):
    """A file of a set, as declared, and the object that holds it."""

    __tablename__ = "dataset_files"
    __table_args__ = (
        UniqueConstraint("dataset_id", "path", name="uq_dataset_files_dataset_id"),
        Index("ix_dataset_files_object_key", "object_key", postgresql_where=text("object_key IS NOT NULL")),
    )

    dataset_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """In the request, from 0."""
    path: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    media_type: Mapped[str]
    upload_id: Mapped[str | None]
    """Of its multipart upload, for a large file."""
    object_key: Mapped[str | None] = mapped_column(ForeignKey("dataset_objects.key"))
    """Null until it is sealed."""


class DatasetReport(Table):
    """The report on a set, as JSON."""

    __tablename__ = "dataset_reports"

    dataset_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True)
    report: Mapped[bytes] = mapped_column(LargeBinary)

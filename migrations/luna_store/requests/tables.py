"""The table of the request log, typed; `migrations/versions` creates it and a test compares."""

from datetime import datetime

from sqlalchemy import REAL, BigInteger, Index, SmallInteger, UniqueConstraint
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.orm import Mapped, mapped_column

from luna_store.platform.table import Table


class RequestRow(Table):
    """One answered request. Partitioned by day.

    One unique index serves three purposes: pages of an account's rows by time, the rows of an account that is gone, and
    that no batch is written twice. Nulls are not distinct in it, so that this holds for unknown callers, too.
    """

    __tablename__ = "request_log"
    id: Mapped[int] = mapped_column(BigInteger)
    """Tells rows of one instant apart. The writer assigns it, so that a batch that is sent twice is recognised."""
    at: Mapped[datetime] = mapped_column()
    """When the answer ended."""
    account_id: Mapped[int | None]
    """The caller's; null where the caller was not recognised. No foreign key: it would cost a look per row."""
    principal: Mapped[str | None]
    """`luna_<id>` of the key, or `user:<uuid>`; null where the caller was not recognised."""
    method: Mapped[str]
    route: Mapped[str]
    """A template, as the label of metrics."""
    status: Mapped[int] = mapped_column(SmallInteger)
    milliseconds: Mapped[float] = mapped_column(REAL)
    """From the request's head to the end of its answer."""
    bytes: Mapped[int] = mapped_column(BigInteger)
    """Of the answer's body, before the framing of HTTP."""
    request_id: Mapped[str]
    address: Mapped[str | None] = mapped_column(INET)
    """The client's network: /24 of IPv4, /48 of IPv6. Null where there is none."""

    __table_args__ = (
        UniqueConstraint(
            "account_id", "at", "id", name="uq_request_log_account_id_at_id", postgresql_nulls_not_distinct=True
        ),
        # For queries of all accounts and for the default partition; costs next to nothing.
        Index("ix_request_log_at", "at", postgresql_using="brin"),
        {"postgresql_partition_by": "RANGE (at)"},
    )
    # For the mapper alone: Postgres has the unique index.
    __mapper_args__ = {"primary_key": [id, at]}  # noqa: RUF012, A003  SQLAlchemy's contract

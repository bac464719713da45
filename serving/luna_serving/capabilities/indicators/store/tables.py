"""The table of the indicators capability, typed; `migrations/versions` creates it and a test compares."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Uuid, func
from sqlalchemy.orm import Mapped, mapped_column

from luna_store.platform.table import Table


class CustomIndicator(Table):
    """An account's own indicator."""

    __tablename__ = "custom_indicators"
    __table_args__ = (CheckConstraint("name ~ '^[a-z0-9]([-_a-z0-9]{0,61}[a-z0-9])?$'", name="name"),)

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    expression: Mapped[str]
    """As it was put."""
    revision: Mapped[uuid.UUID] = mapped_column(Uuid)
    """Another one after each change: the entity tag."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())

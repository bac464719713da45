"""The tables of people; `migrations/versions` creates them and a test compares."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Uuid, func, text
from sqlalchemy.orm import Mapped, mapped_column

from luna_store.platform.table import Table

_NEW_ID = text("gen_random_uuid()")
_LIVE = text("ended_at IS NULL")


class User(Table):
    """A person who signs in."""

    __tablename__ = "users"
    __table_args__ = (CheckConstraint("email = lower(email)", name="email"),)

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, server_default=_NEW_ID)
    email: Mapped[str] = mapped_column(unique=True)
    """Normalised, see `luna_store.people.emails`."""
    password_hash: Mapped[str | None]
    """Argon2id in PHC form; null for a person who signs in through a provider only."""
    password_changed_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    """Since when the person may not sign in; null if they may."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Identity(Table):
    """A person at an OpenID provider (OpenID Connect Core 1.0, section 5.7: issuer and subject identify them)."""

    __tablename__ = "identities"
    __table_args__ = (Index("ix_identities_user_id", "user_id"),)

    issuer: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Membership(Table):
    """A role that one source gives an email address in an account; the greatest of all sources counts.

    If no user has the address it is an invitation, which takes effect when that user is created.
    """

    __tablename__ = "memberships"
    __table_args__ = (
        CheckConstraint("role IN ('viewer', 'member', 'admin')", name="role"),
        CheckConstraint("source IN ('resource', 'admin', 'command', 'provider')", name="source"),
        CheckConstraint("email = lower(email)", name="email"),
        Index("ix_memberships_email", "email"),
    )

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True)
    email: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(primary_key=True)
    """Who gave the role, and alone changes it: the custom resource, an admin over HTTP, the command line, or the
    claims of an OpenID provider."""
    role: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Session(Table):
    """One sign-in of a person to one account, with the family of its refresh tokens."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index("ix_sessions_account_id", "account_id", postgresql_where=_LIVE),
        Index("ix_sessions_user_id", "user_id", postgresql_where=_LIVE),
        Index("ix_sessions_expires_at", "expires_at"),
    )

    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, server_default=_NEW_ID)
    user_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    """When the person has to sign in again, however active."""
    ended_at: Mapped[datetime | None]


class RefreshToken(Table):
    """A refresh token, used or not. The token itself is never stored."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (Index("ix_refresh_tokens_session_id", "session_id"),)

    digest: Mapped[str] = mapped_column(primary_key=True)
    """SHA-256, hexadecimal. A token is 256 random bits, so it needs no key and no slow hash."""
    session_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class PasswordLink(Table):
    """A link with which a person sets a password once; the user is created if there is none."""

    __tablename__ = "password_links"
    __table_args__ = (Index("ix_password_links_email", "email"),)

    digest: Mapped[str] = mapped_column(primary_key=True)
    """As of a refresh token."""
    email: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]

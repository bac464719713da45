"""Bodies and answers of the routes of members."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from luna_serving.wire.strict import StrictModel
from luna_store.people.memberships import Member

RoleWord = Literal["viewer", "member", "admin"]
EXAMPLE: dict[str, Any] = {
    "email": "ada@example.com",
    "role": "admin",
    "sources": {"resource": "admin"},
    "invited": False,
    "since": "2026-11-21T12:00:00Z",
}


class RoleSent(StrictModel):
    """A role to give."""

    role: RoleWord = Field(
        description="A viewer reads; a member also calls and keeps models, data sets and jobs; an admin also keeps "
        "members, rules and keys."
    )


class MemberAnswer(BaseModel):
    """An email address with a role in the account."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    email: str = Field(description="In its normalised form: lower case.")
    role: RoleWord = Field(description="The greatest role of all sources, which counts.")
    sources: dict[str, RoleWord] = Field(
        description="Who gave which role: `admin` (over HTTP), `resource` (spec.members of the Account), `command` "
        "(`luna user`) or `provider` (an OpenID provider). Each changes its own."
    )
    invited: bool = Field(description="Whether no user has the address yet.")
    since: datetime

    @classmethod
    def of(cls, member: Member) -> "MemberAnswer":
        """The answer for a member."""
        return cls.model_validate(
            {
                "email": member.email,
                "role": member.role.word,
                "sources": {source.value: role.word for source, role in member.sources.items()},
                "invited": member.invited,
                "since": member.since,
            }
        )


class MemberPage(BaseModel):
    """Members and invitations by address."""

    items: list[MemberAnswer]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")

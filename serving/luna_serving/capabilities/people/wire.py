"""Bodies and answers of the routes of people."""

import uuid
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from luna_serving.access.people.passwords import MAX_CHARACTERS, MIN_CHARACTERS
from luna_serving.access.people.sign_in import SignedIn
from luna_serving.wire import problems
from luna_serving.wire.documents import read_object
from luna_serving.wire.forms import F, read_form
from luna_serving.wire.problems import FieldError
from luna_serving.wire.strict import StrictModel
from luna_store.accounts.tables import MAX_ACCOUNT_ID
from luna_store.people.emails import InvalidEmail, normalised

# Bytes of a body: an address, two passwords of four bytes a character, and room for escapes.
MAX_BODY_BYTES = 32 * 1024

Email = Annotated[str, Field(min_length=1, max_length=320, description="An email address.", examples=["a@example.com"])]
Password = Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS, description="Never logged.")]
NewPassword = Annotated[
    str,
    Field(
        max_length=MAX_CHARACTERS,
        description=f"At least {MIN_CHARACTERS} characters of any kind.",
    ),
]
RefreshToken = Annotated[str, Field(min_length=1, max_length=256, description="From a sign-in or the last refresh.")]


class Login(StrictModel):
    """A sign-in with a password."""

    email: Email
    password: Password
    account_id: int | None = Field(
        None, ge=1, le=MAX_ACCOUNT_ID, description="Needed only by a member of several accounts."
    )


class Refresh(StrictModel):
    """A refresh token."""

    refresh_token: RefreshToken


class PasswordChange(StrictModel):
    """A change of one's own password."""

    current_password: Password
    new_password: NewPassword


class PasswordOfLink(StrictModel):
    """A password set with a link."""

    token: Annotated[str, Field(min_length=1, max_length=256, description="What follows # in the link.")]
    new_password: NewPassword


class SessionAnswer(BaseModel):
    """A session with its tokens."""

    access_token: str
    token_type: str = "bearer"  # noqa: S105  the scheme's name
    expires_in: int = Field(description="Seconds.")
    refresh_token: str = Field(description="Works once: the answer to a refresh holds the next one.")
    account_id: int
    role: str

    @classmethod
    def of(cls, signed_in: SignedIn) -> "SessionAnswer":
        """The answer for a session."""
        return cls(
            access_token=signed_in.access_token,
            expires_in=signed_in.expires_in,
            refresh_token=signed_in.refresh_token,
            account_id=signed_in.token.account_id,
            role=signed_in.token.role.word,
        )


class OwnAccountAnswer(BaseModel):
    """An account that the person is a member of."""

    account_id: int
    account_name: str
    display_name: str
    role: str


class Me(BaseModel):
    """Who calls."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    account_id: int
    role: str
    user_id: uuid.UUID | None = Field(None, description="null for an API key, as are the members below.")
    email: str | None = None
    has_password: bool | None = Field(None, description="false for a person who signs in through a provider alone.")
    key_prefix: str | None = Field(None, description="Of an API key; null for a person.")
    accounts: list[OwnAccountAnswer] = Field(
        default_factory=list, description="All accounts of the person; empty for an API key."
    )


def read_body(schema: type[F], body: bytes) -> F:
    """Read a JSON object.

    Raises:
        Problem: 422, with pointers to the members.
    """
    return read_form(schema, read_object(body, "", 0))


def read_email(email: str, pointer: str = "/email") -> str:
    """An address in its normalised form.

    Raises:
        Problem: 422.
    """
    try:
        return normalised(email)
    except InvalidEmail as e:
        raise problems.invalid(FieldError(pointer, str(e))) from e

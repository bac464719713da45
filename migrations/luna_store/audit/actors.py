"""Who makes a change, as the audit log shows it.

| actor | is |
|---|---|
| `user:<uuid>` | a person, through HTTP |
| `key:<prefix>` | an API key, through HTTP |
| `link:<email>` | the holder of a link that sets a password |
| `provider:<name>` | the claims of an OpenID provider, at a sign-in |
| `operator`, `settlement`, `serving`, `workers` | a process of Luna, by itself |
| `command:<user>` | the command line, run by this user of the operating system |
| `migration` | a migration of the schema |
| `postgres:<role>` | another client of Postgres, such as psql |

A process names itself by the connection's `application_name`, which a pooler of transactions (PgBouncer) carries along;
it would refuse a setting of our own at connect. A request names itself in its transaction by the settings `luna.actor`
and `luna.request_id`. The function `audit_actor` of revision 0012 reads both. An actor is a statement of the client:
whoever has a password of the database can claim another one.
"""

import os
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# What Luna's X-Request-ID may be long, see docs/routes.md; a longer one of another kind of client is cut.
MAX_REQUEST_ID: Final = 128

_SET = text("SELECT set_config('luna.actor', :name, true), set_config('luna.request_id', :request_id, true)")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes the changes of a transaction."""

    name: str
    request_id: str = ""
    """Empty for none."""

    @classmethod
    def key(cls, prefix: str, request_id: str = "") -> "Actor":
        """An API key, by its public prefix."""
        return cls(f"key:{prefix}", request_id)

    @classmethod
    def link(cls, email: str, request_id: str = "") -> "Actor":
        """The holder of a link that was made for a normalised address."""
        return cls(f"link:{email}", request_id)

    @classmethod
    def provider(cls, name: str, request_id: str = "") -> "Actor":
        """An OpenID provider, whose claims give roles."""
        return cls(f"provider:{name}", request_id)

    @classmethod
    def user(cls, user_id: UUID, request_id: str = "") -> "Actor":
        """A person."""
        return cls(f"user:{user_id}", request_id)


async def acting_as(connection: AsyncConnection, actor: Actor | None) -> None:
    """Name the actor of the changes that follow in this transaction; None leaves the process's own name."""
    if actor is not None:
        await connection.execute(_SET, {"name": actor.name, "request_id": actor.request_id[:MAX_REQUEST_ID]})


def command() -> str:
    """The name of the command line: `command:` and the user of the operating system who runs it."""
    # Not getpass.getuser: it believes LOGNAME, and imports pwd, which knows no user of an arbitrary id in a pod.
    try:
        import pwd

        return f"command:{pwd.getpwuid(os.getuid()).pw_name}"
    except (ImportError, KeyError):
        return f"command:{os.getuid()}"

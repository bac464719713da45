"""What the routes of OpenID providers answer, and how they are described."""

from typing import Any, Final

from pydantic import BaseModel, Field

from luna_serving.access.people.openid.pending import LIFETIME_S

COOKIE: Final = (
    "Binds the sign-in to this browser for 10 minutes: `HttpOnly`, `SameSite=Lax`, and with https `Secure` under a "
    "name that begins with `__Host-`."
)


class ProviderAnswer(BaseModel):
    """A way to sign in."""

    name: str
    label: str = Field(description="How people know it.")
    login_url: str = Field(description="Where a browser begins.")


class ProvidersAnswer(BaseModel):
    """The ways to sign in, beside a password."""

    providers: list[ProviderAnswer]


REDIRECT: Final[dict[int | str, dict[str, Any]]] = {
    302: {
        "description": "To the provider.",
        "headers": {
            "Location": {"description": "Its authorization endpoint.", "schema": {"type": "string", "format": "uri"}},
            "Set-Cookie": {"description": COOKIE, "schema": {"type": "string"}},
        },
    }
}


def cookie_header(name: str, value: str, *, secure: bool) -> str:
    """A Set-Cookie header (RFC 6265bis). An empty value removes the cookie."""
    age = LIFETIME_S if value else 0
    # A name with __Host- needs the path /, and no other host of the domain can set it.
    where = "Path=/; Secure" if secure else "Path=/api/v1/auth/oidc/"
    return f"{name}={value}; Max-Age={age}; {where}; HttpOnly; SameSite=Lax"

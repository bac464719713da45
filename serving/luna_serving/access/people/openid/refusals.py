"""Problems of a sign-in through a provider. None repeats a code, a token or a state."""

from luna_serving.wire.problems import Problem


def _again(provider: str) -> str:
    return f"Begin again at GET /api/v1/auth/oidc/{provider}."


def unknown_sign_in(provider: str) -> Problem:
    """403: the state is not one of this browser."""
    return Problem(
        "sign-in-state",
        403,
        "This browser has not begun this sign-in.",
        f"It was begun in another browser or more than 10 minutes ago, or it is already over. {_again(provider)}",
    )


def denied(provider: str, error: str) -> Problem:
    """403: the provider sent an error instead of a code."""
    return Problem(
        "provider-denied",
        403,
        "The provider has not let you in.",
        f"The provider answered {error}. {_again(provider)} If it says so again, ask the team that runs it.",
        extra={"error": error},
    )


def unverifiable(provider: str, why: str) -> Problem:
    """403: what the provider sent cannot be verified."""
    return Problem(
        "identity-refused",
        403,
        "The provider's answer cannot be verified.",
        f"{why} {_again(provider)} If that does not help, ask the team that runs Luna.",
    )


def unusable(provider: str) -> Problem:
    """503: the provider breaks a rule, or is configured wrongly."""
    return Problem(
        "provider-unusable",
        503,
        "The provider cannot be used.",
        f"What the OpenID provider {provider} says of itself is wrong or does not match Luna's settings; the log says "
        "what. Ask the team that runs Luna, or sign in another way.",
        {"Retry-After": "60"},
    )


def email_not_verified() -> Problem:
    """403: nobody vouches for the address."""
    return Problem(
        "email-not-verified",
        403,
        "The email address is not verified.",
        "The provider names no email address that it has verified and that may sign in here. Verify yours there, then "
        "sign in again.",
    )


def not_linked(email: str) -> Problem:
    """403: the address is a user's who signs in another way."""
    return Problem(
        "not-linked",
        403,
        "The user signs in another way.",
        f"{email} signs in with a password or through another provider. Sign in that way, or ask the team that runs "
        "Luna to link this provider.",
    )


def disabled() -> Problem:
    """403: the person may not sign in."""
    return Problem("user-disabled", 403, "The user is disabled.", "Ask the team that runs Luna to enable it.")


def no_membership() -> Problem:
    """403: the person is new here, and nobody has invited them."""
    return Problem(
        "no-membership",
        403,
        "You are not a member of the account.",
        "You are a member of no account. Ask an admin of the account, or the team that runs Luna.",
    )

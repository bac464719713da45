"""Who may call: stores that decide, tokens, sessions, passwords, limits on failed attempts."""

from pydantic import Field

from luna_serving.settings.group import Group


class AccessSettings(Group):
    """The stores that decide about calls."""

    store_timeout_s: float = Field(
        1.0,
        gt=0,
        description="Seconds that Redis has to answer before Postgres takes over the debits, and Postgres before a "
        "named model comes from memory.",
    )


class TokenSettings(Group):
    """Access tokens, of keys and of people."""

    lifetime_s: int = Field(900, gt=0, description="Seconds that a token is valid.")
    issuer: str = Field("luna", min_length=1, description="The claim `iss`: names this installation.")
    audience: str = Field("luna", min_length=1, description="The claim `aud`; tokens for another audience are refused.")


class Argon2Settings(Group):
    """Password hashes: Argon2id, by default with the low-memory parameters of RFC 9106, section 4.

    New parameters take effect for a person at the next sign-in.
    """

    memory_kib: int = Field(65_536, ge=8_192, description="KiB of memory of one hash.")
    passes: int = Field(3, ge=1, description="Passes over the memory.")
    lanes: int = Field(4, ge=1, description="Lanes of one hash; the memory is divided among them.")
    at_once: int = Field(
        2, ge=1, description="Hashes at once in one ingress replica: bounds the memory and CPU that sign-ins take."
    )


class SessionSettings(Group):
    """Sessions of people."""

    lifetime_s: int = Field(
        2_592_000, gt=0, description="Seconds after which a person signs in again, however active (30 days)."
    )
    refresh_lifetime_s: int = Field(
        1_209_600, gt=0, description="Seconds after which an unused refresh token ends (14 days)."
    )
    most_per_person: int = Field(
        20, ge=1, description="Live sessions of a person in an account; the oldest end when more begin."
    )


class ThrottleSettings(Group):
    """Limits on failed attempts to authenticate, per address ([abuse](abuse.md))."""

    login_attempts: int = Field(
        30, gt=0, description="Failed logins of an address before it is blocked; enough for an office with one address."
    )
    login_attempts_per_email: int = Field(
        10, gt=0, description="Failed logins of an address with one email before they are blocked."
    )
    refresh_attempts: int = Field(60, gt=0, description="Refused refresh tokens of an address before it is blocked.")
    password_attempts: int = Field(
        20, gt=0, description="Failed changes of a password of an address before it is blocked."
    )
    provider_attempts: int = Field(
        30, gt=0, description="Failed callbacks of OpenID providers of an address before it is blocked."
    )
    refill_s: float = Field(
        60.0, gt=0, description="Seconds until one of these attempts comes back: guessing goes on at this pace at most."
    )
    block_s: float = Field(
        300.0, gt=0, le=300, description="Seconds of a block of people's attempts; the contract allows 5 minutes."
    )
    key_failures: int = Field(
        200, gt=0, description="Unknown API keys and invalid tokens of an address before they are answered 429."
    )
    key_refill_s: float = Field(15.0, gt=0, description="Seconds until one of these failures is forgotten.")
    key_block_s: float = Field(
        60.0, gt=0, le=300, description="Seconds of their block; valid keys are served meanwhile."
    )
    delay_after: int = Field(3, ge=0, description="Failures without a delay before the next attempt: people mistype.")
    delay_first_s: float = Field(
        0.05, ge=0, description="Seconds of the first delay before a further attempt; each later one is twice as long."
    )
    delay_most_s: float = Field(
        1.0, ge=0, le=10, description="Seconds of the longest delay; a waiting attempt holds a connection."
    )

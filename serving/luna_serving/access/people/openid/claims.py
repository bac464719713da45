"""What the claims of a provider say of a person: the address, and roles in accounts."""

from collections.abc import Mapping
from typing import Any

from luna_serving.settings.openid import Provider
from luna_store.people.emails import InvalidEmail, normalised
from luna_store.people.roles import Role


def verified_email(claims: Mapping[str, Any], provider: Provider) -> str | None:
    """The normalised address that the provider vouches for; None if there is none.

    Only the JSON value `true` counts as verified: a provider that sends "true" may send "false", too.
    """
    email = claims.get("email")
    if not isinstance(email, str):
        return None
    try:
        address = normalised(email)
    except InvalidEmail:
        return None
    if provider.email_domains and address.rpartition("@")[2] not in provider.email_domains:
        return None
    return address if provider.trust_email or claims.get(provider.verified_claim) is True else None


def roles(claims: Mapping[str, Any], provider: Provider) -> dict[str, Role]:
    """The greatest role in each account, by its name, that the rules give."""
    given: dict[str, Role] = {}
    for rule in provider.roles:
        if rule.value in _values(claims, rule.claim):
            role = Role.of(rule.role)
            given[rule.account] = max(role, given.get(rule.account, role))
    return given


def _values(claims: Mapping[str, Any], claim: str) -> list[Any]:
    """A claim's list, or its text as a list."""
    found: Any = claims
    # RFC 6901. A name without a slash in front may have dots and slashes in it: https://example.com/groups.
    steps = [s.replace("~1", "/").replace("~0", "~") for s in claim[1:].split("/")] if claim[0] == "/" else [claim]
    for step in steps:
        found = found.get(step) if isinstance(found, dict) else None
    if isinstance(found, list):
        return found
    return [found] if isinstance(found, str) else []

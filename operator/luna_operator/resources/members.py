"""`spec.members` of an Account as a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from luna_store.people.emails import InvalidEmail, normalised
from luna_store.people.roles import Role

# The schema's default.
DEFAULT_ROLE = Role.MEMBER


@dataclass(frozen=True, slots=True)
class Members:
    """Who may use the account, and the entries that cannot be applied."""

    roles: Mapping[str, Role] = field(default_factory=dict)
    """By normalised address."""
    refused: tuple[str, ...] = ()
    """What is wrong with the other entries, each with the field and the cure."""

    @classmethod
    def parse(cls, spec: dict[str, Any]) -> Self:
        """Read a spec that the API server has validated; its rules know less of addresses than `normalised` does.

        Raises:
            ValueError: the API server did not; the message names the field.
        """
        listed = spec.get("members")
        if listed is None:
            return cls()
        if not isinstance(listed, list):
            raise ValueError(f"spec.members must be a list, not {listed!r}.")  # noqa: TRY004  a value of a field
        roles: dict[str, Role] = {}
        refused = []
        for number, entry in enumerate(listed):
            try:
                email, role = _member(entry)
            except ValueError as e:
                refused.append(f"spec.members[{number}]{e}")
                continue
            if email in roles:
                refused.append(f"spec.members[{number}].email: {email} is listed before; remove one of the two.")
                continue
            roles[email] = role
        return cls(roles, tuple(refused))


def _member(entry: object) -> tuple[str, Role]:
    if not (isinstance(entry, dict) and isinstance(email := entry.get("email"), str)):
        cure = "must be an object with email and role, as in {email: ada@example.com, role: member}."
        raise ValueError(f": {cure}")  # noqa: TRY004  a value of a field
    try:
        address = normalised(email)
    except InvalidEmail as e:
        raise ValueError(f".email: {email!r} is no email address ({e}) Write one, as in ada@example.com.") from e
    try:
        return address, Role.of(entry.get("role") or DEFAULT_ROLE.word)
    except ValueError as e:
        raise ValueError(f".role: {e}") from e

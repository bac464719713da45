"""`spec.members`, read from a spec."""

from typing import Any

import pytest

from luna_operator.resources.members import Members
from luna_store.people.roles import Role


@pytest.mark.parametrize("spec", [{}, {"members": None}, {"members": []}], ids=str)
def test_no_members_are_none(spec: dict[str, Any]) -> None:
    assert Members.parse(spec) == Members()


def test_a_role_that_is_left_out_is_member() -> None:
    listed = [{"email": "ada@example.com", "role": "admin"}, {"email": "alan@example.com"}]
    assert Members.parse({"members": listed}).roles == {"ada@example.com": Role.ADMIN, "alan@example.com": Role.MEMBER}


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"email": "ada"}, "spec.members[1].email: 'ada' is no email address"),
        ({"email": "a@b..c"}, "spec.members[1].email: 'a@b..c' is no email address"),
        ({"email": "ada@example.com\0"}, "is no email address"),
        ({"email": "alan@example.com", "role": "owner"}, "spec.members[1].role: role must be viewer, member or admin"),
        ({"role": "admin"}, "spec.members[1]: must be an object with email and role, as in"),
        ("ada@example.com", "spec.members[1]: must be an object with email and role, as in"),
    ],
    ids=str,
)
def test_an_entry_that_cannot_be_applied_is_reported_with_its_field_and_cure(entry: Any, told: str) -> None:
    members = Members.parse({"members": [{"email": "grace@example.com"}, entry, {"email": "ada@example.com"}]})
    assert members.roles == {"grace@example.com": Role.MEMBER, "ada@example.com": Role.MEMBER}
    [refused] = members.refused
    assert told in refused


def test_two_spellings_of_one_address_give_the_role_of_the_first() -> None:
    # Composed and decomposed: Unicode's NFC makes one of them.
    listed = [{"email": "zo\u00eb@example.com", "role": "viewer"}, {"email": "zoe\u0308@example.com", "role": "admin"}]
    members = Members.parse({"members": listed})
    assert members.roles == {"zo\u00eb@example.com": Role.VIEWER}
    assert members.refused == ("spec.members[1].email: zo\u00eb@example.com is listed before; remove one of the two.",)


def test_members_that_are_no_list_are_refused_as_a_whole() -> None:
    with pytest.raises(ValueError, match=r"spec\.members must be a list"):
        Members.parse({"members": "ada@example.com"})

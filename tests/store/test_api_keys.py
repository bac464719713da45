import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luna_store.accounts.api_keys import ApiKey, MalformedKey, PepperMissing, Peppers

OLD = "old:" + "o" * 16
NEW = "new:" + "n" * 16


def test_an_issued_key_has_the_published_form_and_parses() -> None:
    key = ApiKey.issue()
    assert re.fullmatch(r"luna_[0-9A-Za-z]{8}_[0-9a-f]{32}[0-9A-Za-z]{6}", key.secret)
    assert key.secret[14 + 12] == "4"  # the version digit of a UUID4
    assert ApiKey.parse(key.secret) == key
    assert key.secret not in repr(key)


@given(st.integers(0, 51), st.sampled_from("0123456789abcdefXYZ_"))
def test_a_mistyped_key_is_refused_without_a_store(position: int, letter: str) -> None:
    key = ApiKey.issue().secret
    typo = key[:position] + letter + key[position + 1 :]
    if typo != key:
        with pytest.raises(MalformedKey, match="copied whole"):
            ApiKey.parse(typo)


@pytest.mark.parametrize("text", ["", "luna_", "Bearer x", "é" * 52, "luna_" + "a" * 300])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(MalformedKey):
        ApiKey.parse(text)


def test_a_new_pepper_serves_new_keys_and_the_old_one_those_made_under_it() -> None:
    key = ApiKey.issue()
    before, after = Peppers.parse(OLD), Peppers.parse(f"{NEW},{OLD}")
    assert after.current == "new"
    assert after.matches(key, before.digest(key), "old")
    assert not after.matches(key, before.digest(key), "new")
    assert not before.matches(key, after.digest(key), "new")
    assert before.digest(key) in after.digests(key)


@pytest.mark.parametrize("setting", ["", "  ", "nocolon", "short:secret", ":" + "x" * 16])
def test_a_start_without_a_usable_pepper_is_refused(setting: str) -> None:
    with pytest.raises(PepperMissing, match="LUNA_PEPPERS"):
        Peppers.parse(setting)


def test_peppers_travel_to_a_replica_and_do_not_show() -> None:
    peppers = Peppers.parse(NEW)
    copy = pickle.loads(pickle.dumps(peppers))
    assert copy.digest(key := ApiKey.issue()) == peppers.digest(key)
    assert "nnnn" not in repr(peppers)

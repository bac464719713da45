"""The memory of the watch: the newest version of each resource, and which Accounts use which Tier."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.operator.plan import accounts

from luna_operator.reconcile.resource_cache import GONE_KEPT, ResourceCache
from luna_operator.resources.account import AccountResource
from luna_operator.resources.names import Key
from luna_operator.resources.tier import TierResource

ACME = Key("team-acme", "acme")


def account(version: int, spec: dict[str, Any] | None = None, **more: Any) -> AccountResource:
    return accounts.account(spec, resourceVersion=str(version), **more)


def tier(version: int, spec: dict[str, Any] | None = None) -> TierResource:
    return accounts.tier(spec, version=version)


def test_an_older_version_changes_nothing() -> None:
    cache = ResourceCache()
    assert cache.keep(account(100, {"tier": "pro"}))
    assert not cache.keep(account(99, {"tier": "gold"}))
    assert not cache.keep(account(100, {"tier": "gold"}))
    assert cache.account(ACME) == account(100, {"tier": "pro"})
    assert (cache.accounts_of("pro"), cache.accounts_of("gold")) == ([ACME], [])


def test_versions_are_compared_as_numbers() -> None:
    cache = ResourceCache()
    cache.keep(account(9))
    assert cache.keep(account(10))
    assert not cache.keep(account(9))


def test_an_account_that_changes_its_tier_is_found_under_the_new_one() -> None:
    cache = ResourceCache()
    found = []
    for version, spec in enumerate([{"tier": "pro"}, {"tier": "gold"}, {}, {"tier": "pro"}], 1):
        cache.keep(account(version, spec))
        found.append((cache.accounts_of("pro"), cache.accounts_of("gold")))
    assert found == [([ACME], []), ([], [ACME]), ([], []), ([ACME], [])]
    cache.forget(ACME)
    assert cache.accounts_of("pro") == []


def test_accounts_of_a_tier_come_in_order() -> None:
    cache = ResourceCache()
    for name in "cab":
        cache.keep(account(1, {"tier": "pro"}, name=name))
    assert [key.name for key in cache.accounts_of("pro")] == ["a", "b", "c"]


def test_nothing_that_was_under_way_brings_a_deleted_account_back() -> None:
    """A page of a list, or the answer to a write, that was read before the deletion and arrives after it."""
    cache = ResourceCache()
    cache.keep(account(100, {"tier": "pro"}))
    assert cache.forget(ACME, "150")
    for version in (100, 140, 150):
        assert not cache.keep(account(version, {"tier": "pro"}))
    assert (cache.account(ACME), len(cache), cache.accounts_of("pro")) == (None, 0, [])


def test_a_deletion_of_unknown_version_ends_what_was_known() -> None:
    cache = ResourceCache()
    cache.keep(account(100))
    assert cache.forget(ACME)
    assert not cache.keep(account(100))


def test_of_two_deletions_the_later_counts() -> None:
    cache = ResourceCache()
    cache.forget(ACME, "150")
    cache.forget(ACME, "120")
    assert not cache.keep(account(140))


def test_an_account_that_is_made_anew_is_known_again() -> None:
    cache = ResourceCache()
    cache.keep(account(100))
    cache.forget(ACME, "150")
    assert cache.keep(account(151, {"tier": "pro"}))
    assert cache.account(ACME) == account(151, {"tier": "pro"})


def test_the_end_of_its_predecessor_does_not_end_an_account() -> None:
    cache = ResourceCache()
    cache.keep(account(151))
    assert not cache.forget(ACME, "150")
    assert cache.account(ACME) == account(151)


def test_of_deleted_accounts_only_some_are_remembered() -> None:
    cache = ResourceCache()
    for number in range(GONE_KEPT + 1):
        cache.forget(Key("team", str(number)), "100")
    assert not cache.keep(account(99, namespace="team", name=str(GONE_KEPT)))
    assert not cache.keep(account(99, namespace="team", name="1"))
    assert cache.keep(account(99, namespace="team", name="0"))


def test_the_answer_to_a_write_is_remembered() -> None:
    cache = ResourceCache()
    cache.keep(account(100, generation=1))
    cache.keep_written(account(101, generation=1, status={"accountId": 1}))
    kept = cache.account(ACME)
    assert kept is not None
    assert (kept.resource_version, kept.status) == ("101", {"accountId": 1})


def test_an_answer_that_shows_somebody_elses_change_is_left_to_the_watch() -> None:
    """Else the watch would bring nothing new, and nobody would look at the change before the next sweep."""
    cache = ResourceCache()
    cache.keep(account(100, generation=1))
    for change in (
        account(102, {"suspended": True}, generation=2),
        account(102, generation=1, finalizers=[]),
        account(102, generation=1, deletionTimestamp="2026-11-21T09:00:00Z"),
        account(102, generation=1, uid="0a1b2c3d-0000-4000-8000-000000000002"),
    ):
        cache.keep_written(change)
        assert cache.account(ACME) == account(100, generation=1)
    assert cache.keep(account(101, {"suspended": True}, generation=2))


def test_the_answer_to_a_write_brings_no_account_back() -> None:
    cache = ResourceCache()
    cache.keep_written(account(101))
    assert cache.account(ACME) is None


def test_a_tier_is_news_if_its_limits_are() -> None:
    cache = ResourceCache()
    news = [
        cache.keep_tier(tier(version, {"quota": {"limit": limit}}))
        for version, limit in [(10, 5), (10, 6), (9, 6), (11, 5), (12, 6)]
    ]
    assert news == [True, False, False, False, True]
    assert cache.tier("pro") == tier(12, {"quota": {"limit": 6}})
    assert cache.tiers() == [tier(12, {"quota": {"limit": 6}})]
    cache.forget_tier("pro")
    assert (cache.tier("pro"), cache.tier(None), cache.tiers()) == (None, None, [])


def test_all_accounts_may_be_walked_through_while_they_change() -> None:
    cache = ResourceCache()
    for name in "ab":
        cache.keep(account(1, name=name))
    for kept in cache.accounts():
        cache.forget(kept.key)
    assert len(cache) == 0


events = st.lists(
    st.tuples(
        st.sampled_from(["kept", "written", "forgotten"]),
        st.sampled_from("ab"),
        st.sampled_from([{}, {"tier": "pro"}, {"tier": "gold"}]),
        st.integers(1, 9),
    ),
    max_size=20,
)


@given(events)
def test_the_tiers_index_is_what_the_accounts_say(told: list[tuple[str, str, dict[str, Any], int]]) -> None:
    cache = ResourceCache()
    newest: dict[Key, int] = {}
    for kind, name, spec, version in told:
        resource = account(version, spec, name=name)
        if kind == "kept":
            assert cache.keep(resource) == (version > newest.get(resource.key, 0))
            newest[resource.key] = max(version, newest.get(resource.key, 0))
        elif kind == "written":
            cache.keep_written(resource)
        else:
            cache.forget(resource.key, str(version))
            newest[resource.key] = max(version, newest.get(resource.key, 0))
        kept = cache.account(resource.key)
        if kept is not None:
            newest[resource.key] = max(int(kept.resource_version), newest.get(resource.key, 0))
        for tier_name in ("pro", "gold"):
            assert cache.accounts_of(tier_name) == sorted(a.key for a in cache.accounts() if a.tier == tier_name)

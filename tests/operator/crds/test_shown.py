"""What kubectl shows: is it ready, which Tier, how much is left; and the manual that `kubectl explain` is."""

import re
import time
from collections.abc import Iterator

import pytest
from tests.cluster.kubernetes import Kubernetes
from tests.operator.crds.luna_api import LunaApi, resource
from tests.operator.crds.test_changed import STATUS


@pytest.fixture(scope="module")
def shown(luna_cluster: Kubernetes, luna: LunaApi) -> Iterator[LunaApi]:
    """Two Accounts, of which the operator has seen one, and their Tier."""
    luna.create(resource("Account", {"tier": "shown", "expiresAt": "2031-01-31T00:00:00Z"}, name="seen"))
    luna.patch("seen", {"status": STATUS}, status=True)
    luna.create(resource("Account", {}, name="unseen"))
    rate = {"requestsPerSecond": 0.5, "burst": 10}
    luna.create(resource("Tier", {"quota": {"limit": 1000, "window": "Day"}, "rateLimit": rate}, name="shown"))
    luna_cluster.kubectl(
        "patch", "tier", "shown", "--subresource=status", "--type=merge", "-p", '{"status": {"accounts": 1}}'
    )
    yield luna
    luna_cluster.kubectl("delete", "tier", "shown")


def table(text: str) -> dict[str, dict[str, str]]:
    """Return kubectl's table: rows by name; a cell belongs to the column above it."""
    head, *lines = text.rstrip("\n").split("\n")
    columns = [(found[0], found.start()) for found in re.finditer(r"\S+", head)]
    ends = [start for _, start in columns[1:]] + [None]
    rows = [
        {title: line[start:end].strip() for (title, start), end in zip(columns, ends, strict=True)} for line in lines
    ]
    return {row["NAME"]: row for row in rows}


def test_get_accounts_tells_whether_it_is_ready_which_tier_and_how_much_is_left(
    luna_cluster: Kubernetes, shown: LunaApi
):
    rows = table(luna_cluster.kubectl("get", "accounts", "-n", shown.namespace))
    seen = {name: cell for name, cell in rows["seen"].items() if name != "AGE"}
    expected = {"READY": "True", "REASON": "Synced", "TIER": "shown", "USED": "17", "REMAINING": "483"}
    assert seen == {"NAME": "seen"} | expected
    assert re.fullmatch(r"\d+[smh].*", rows["seen"]["AGE"])
    assert {rows["unseen"][name] for name in expected} == {""}


def test_wide_adds_the_limit_the_secret_and_an_end_that_is_still_to_come(luna_cluster: Kubernetes, shown: LunaApi):
    rows = table(luna_cluster.kubectl("get", "lacc", "-o", "wide", "-n", shown.namespace))
    assert rows["seen"]["LIMIT"] == "500"
    assert rows["seen"]["SECRET"] == "acme-luna-key"
    assert rows["seen"]["EXPIRES"] == "2031-01-31T00:00:00Z"
    assert rows["unseen"]["EXPIRES"] == ""


def test_get_tiers_tells_what_a_tier_gives(luna_cluster: Kubernetes, shown: LunaApi):
    row = table(luna_cluster.kubectl("get", "ltier"))["shown"]
    del row["AGE"]
    assert row == {"NAME": "shown", "LIMIT": "1000", "WINDOW": "Day", "RATE": "0.5", "BURST": "10", "ACCOUNTS": "1"}


def test_the_category_shows_both_kinds(luna_cluster: Kubernetes, shown: LunaApi):
    names = luna_cluster.kubectl("get", "luna", "-n", shown.namespace, "-o", "name").split()
    assert {"account.luna.dev/seen", "account.luna.dev/unseen", "tier.luna.dev/shown"} <= set(names)


def test_the_accounts_of_a_tier_can_be_selected(luna_cluster: Kubernetes, shown: LunaApi):
    chosen = ("-n", shown.namespace, "--field-selector", "spec.tier=shown", "-o", "name")
    assert luna_cluster.kubectl("get", "accounts", *chosen).split() == ["account.luna.dev/seen"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("account", "A team that may call Luna"),
        ("account.spec.quota.limit", "Default: the Tier's, else 500"),
        ("account.spec.apiKey", "How long a key lives before the next one is issued"),
        ("tier.spec", "The defaults."),
    ],
)
def test_explain_is_the_manual(luna_cluster: Kubernetes, path: str, words: str):
    # The API server publishes the schema of a new kind a moment after it serves the kind.
    for _ in range(50):
        text = " ".join(luna_cluster.kubectl("explain", path, check=False).split())
        if words in text:
            return
        time.sleep(0.2)
    pytest.fail(f"kubectl explain {path} shows no {words!r}: {text}")

"""The Tiers that Luna ships are the same with a cluster and without one."""

from pathlib import Path

import yaml

from luna_store.grants import Grants
from luna_store.limits import LIMITS
from luna_store.tiers import TIERS

EXAMPLE = Path(__file__).parents[2] / "crds" / "examples" / "tier.yaml"
FIELDS = {limit.name: limit.field for limit in LIMITS}


def test_each_is_the_custom_resource_of_its_name() -> None:
    resources = {each["metadata"]["name"]: each["spec"] for each in yaml.safe_load_all(EXAMPLE.read_text())}
    for name, tier in TIERS.items():
        spec = resources[name]
        assert spec["quota"] == {"limit": tier.quota_limit, "window": tier.quota_window.value}
        assert spec["rateLimit"] == {"requestsPerSecond": tier.rate_per_second, "burst": tier.rate_burst}
        assert Grants.of(spec["allowed"], None).in_force() == Grants.of(tier.allowed, None).in_force()
        assert spec.get("limits", {}) == {FIELDS[limit]: value for limit, value in tier.limits.items()}


def test_the_free_one_tries_indicators_and_the_premium_one_has_all() -> None:
    assert (TIERS["free"].quota_limit, TIERS["free"].limits["history_days"]) == (50, 90)
    assert TIERS["free"].allowed["indicators"] == ("sma", "ema")
    assert (TIERS["pro"].quota_limit, TIERS["pro"].limits["history_days"]) == (500, 365)
    assert TIERS["premium"].allowed == {"*": ("*",)}

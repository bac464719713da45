"""A limit that is added by one entry of the list works from the resource's schema to the refusal of a call."""

import uuid
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.operator.plan.accounts import account, tier, unmade
from tests.store.stores import PEPPERS, Caller, Store

from luna_operator.plan.status import status_of
from luna_operator.schema import main, with_limits
from luna_store import limits
from luna_store.accounts.provisioning import Provisioning
from luna_store.limits import LIMITS, Checked, Limit
from luna_store.quota.debits import Outcome

CRDS = Path(__file__).resolve().parents[2] / "crds"
# Limits of other rooms that hold where nobody sets them.
DEFAULTS = {limit.field: limit.default for limit in LIMITS if limit.default is not None}
ADDED = Limit("max_paths_per_run", "paths", "Paths in one run at most", Checked.DEBIT, default=1000, highest=50_000)


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Limit:
    monkeypatch.setattr(limits, "LIMITS", (*LIMITS, ADDED))
    return ADDED


def limits_of(text: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The schemas of `spec.limits` and of `status.effective.limits`."""
    [version] = yaml.safe_load(text)["spec"]["versions"]
    parts = version["schema"]["openAPIV3Schema"]["properties"]
    effective = parts["status"]["properties"].get("effective")
    return (
        parts["spec"]["properties"]["limits"]["properties"],
        effective and effective["properties"]["limits"]["properties"],
    )


@pytest.mark.parametrize("kind", ["account", "tier"])
def test_the_schemas_are_those_of_the_list(kind: str) -> None:
    text = (CRDS / f"{kind}.yaml").read_text()
    assert with_limits(text) == text, "run python -m luna_operator.schema"
    spec, status = limits_of(text)
    assert list(spec) == [limit.field for limit in LIMITS]
    assert [(field["minimum"], field["maximum"]) for field in spec.values()] == [
        (limit.lowest, limit.highest) for limit in LIMITS
    ]
    assert status is None or list(status) == list(spec)


@pytest.mark.parametrize(("kind", "default"), [("account", "the Tier's, else 1000"), ("tier", "1000")])
def test_it_is_in_the_schemas(added: Limit, kind: str, default: str) -> None:
    spec, status = limits_of(with_limits((CRDS / f"{kind}.yaml").read_text()))
    assert spec["maxPathsPerRun"] == {
        "type": "integer",
        "format": "int32",
        "minimum": 1,
        "maximum": 50_000,
        "description": f"{added.what}, 1 to 50000. Default: {default}.",
    }
    if kind == "account":
        assert status is not None
        assert status["maxPathsPerRun"]["description"] == "Paths in one run at most."


def test_the_command_writes_the_schemas_and_finds_those_that_are_stale(added: Limit, tmp_path: Path) -> None:
    (tmp_path / "account.yaml").write_text((CRDS / "account.yaml").read_text())
    assert main([str(tmp_path), "--check"]) == 1
    assert main([str(tmp_path)]) == 0
    assert main([str(tmp_path), "--check"]) == 0
    assert added.field in limits_of((tmp_path / "account.yaml").read_text())[0]


def test_generated_lines_without_an_end_are_refused() -> None:
    text = (CRDS / "tier.yaml").read_text().replace("# End of the generated lines.", "")
    with pytest.raises(ValueError, match="comes no '# End of the generated lines"):
        with_limits(text)


async def test_a_call_beyond_it_is_refused_by_its_name_and_the_status_shows_it(store: Store, added: Limit) -> None:
    own = account({"limits": {"maxPathsPerRun": 50}}, uid=str(uuid.uuid4()))
    seen = unmade(own, tier=tier({"limits": {"maxPathsPerRun": 70, "historyDays": 3}}))
    row = await Provisioning(store.engine, PEPPERS).apply(seen.desired)
    assert row.limits == {added.name: 50, "history_days": 3}
    status = status_of(replace(seen, row=row), None, timedelta())
    assert status["effective"]["limits"] == DEFAULTS | {"historyDays": 3, "maxPathsPerRun": 50}
    await denied_above(store, await caller_of(store, row.id), 50)


async def test_its_default_holds_for_accounts_that_were_there_before(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = await store.account()
    [before] = await store.quota.debit([caller.debit(0)])
    assert before.standing.limits == limits.in_force({})
    monkeypatch.setattr(limits, "LIMITS", (*LIMITS, ADDED))
    assert await store.cache.drifted([caller.account_id]) == {caller.account_id}
    await store.cache.rebuild(caller.account_id)
    await denied_above(store, caller, 1000)
    status = status_of(unmade(), None, timedelta())
    assert status["effective"]["limits"] == DEFAULTS | {"maxPathsPerRun": 1000}


async def caller_of(store: Store, account_id: int) -> Caller:
    provisioning = Provisioning(store.engine, PEPPERS)
    key = await provisioning.issue(account_id)
    await provisioning.confirm(account_id, key.prefix, overlap=timedelta())
    await store.cache.rebuild(account_id)
    return Caller(account_id, key)


async def denied_above(store: Store, caller: Caller, most: int) -> None:
    """In Redis and in Postgres alike, with nothing charged."""
    good, bad = (caller.debit(amounts={ADDED.name: amount}) for amount in (most, most + 1))
    for decision in ((await store.quota.debit([bad]))[0], await store.fallback.debit(bad, uncertain=False)):
        assert (decision.outcome, decision.exceeded) == (Outcome.LIMIT, ADDED.name)
        assert decision.standing is not None
        assert decision.standing.limits[ADDED.name] == most
    assert (await store.quota.debit([good]))[0].admitted
    again = replace(good, debit_id=uuid.uuid4())
    assert (await store.fallback.debit(again, uncertain=False)).admitted
    await store.settler.settle()
    assert await store.used(caller.account_id) == 2

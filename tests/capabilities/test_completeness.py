"""Every capability is complete: what a user or an operator looks for under its name is there."""

import importlib
import inspect
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from tests.capabilities.third.capability import MEAN

from luna_serving.app import CAPABILITIES, chosen, hosts
from luna_serving.capabilities.account.capability import ACCOUNT
from luna_serving.capabilities.contract import Capability
from luna_serving.capabilities.kalman.capability import KALMAN
from luna_serving.settings import PlatformSettings, ReplicaSettings, read_settings
from luna_store.limits import LIMITS
from luna_store.platform.table import Table
from luna_store.platform.tables import collect

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "luna"
FOLDER = "serving/luna_serving/capabilities"
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def missing(capability: Capability, root: Path = ROOT) -> list[str]:
    """The files that a capability should have and has not."""
    name = capability.name
    wanted = [
        f"{FOLDER}/{name}/capability.py",
        f"docs/{name}.md",
        f"charts/luna/dashboards/{name}.json",
        f"charts/luna/files/alerts/{name}.yaml",
        f"tests/capabilities/{name}",
        f"examples/{name}.py",
        f"examples/{name}.sh",
    ]
    return [path for path in wanted if not (root / path).exists()]


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda c: c.name)
def test_a_capability_has_its_page_dashboard_alerts_tests_and_examples(capability: Capability) -> None:
    assert missing(capability) == []
    assert list((ROOT / "tests" / "capabilities" / capability.name).rglob("test_*.py"))


def test_one_that_is_not_complete_is_named_with_what_it_lacks() -> None:
    assert f"docs/{MEAN.name}.md" in missing(MEAN)
    assert f"charts/luna/files/alerts/{MEAN.name}.yaml" in missing(MEAN)


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda c: c.name)
def test_its_alerts_and_its_dashboard_are_about_it(capability: Capability) -> None:
    name = capability.name
    groups = yaml.safe_load((CHART / "files" / "alerts" / f"{name}.yaml").read_text())
    assert [group["name"] for group in groups] == [f"luna-{name}"]
    assert all(group["rules"] for group in groups)
    assert f'"uid": "luna-{name}"' in (CHART / "dashboards" / f"{name}.json").read_text()


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda c: c.name)
def test_its_values_can_be_set_in_the_chart(capability: Capability) -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())["serving"]["capabilities"]
    if capability.settings.model_fields:
        assert values[capability.name]["enabled"] is True
        scaled = issubclass(capability.settings, ReplicaSettings)
        assert ({"replicas", "cpus", "gpus"} <= values[capability.name].keys()) is scaled
    else:
        assert capability.name not in values


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda c: c.name)
def test_what_it_declares_exists(capability: Capability) -> None:
    assert set(capability.limits) <= {limit.name for limit in LIMITS}
    settings = capability.settings()
    assert settings.ceilings().keys() <= set(capability.limits)
    assert set(capability.local) <= capability.settings.model_fields.keys()
    assert (capability.replica is not None) == issubclass(capability.settings, ReplicaSettings)
    for loop in capability.loops(PlatformSettings(), settings):
        assert loop.name.startswith(f"{capability.name}.")


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda c: c.name)
def test_it_declares_the_tables_that_it_has(capability: Capability) -> None:
    store = ROOT / FOLDER / capability.name / "store" / "tables.py"
    declared = {table.__tablename__ for table in capability.tables}
    if not store.exists():
        assert declared == set()
        return
    module = importlib.import_module(f"luna_serving.capabilities.{capability.name}.store.tables")
    assert declared == {table.__tablename__ for table in tables_of(module)}
    assert declared <= collect().tables.keys()


def tables_of(module: ModuleType) -> list[type[Table]]:
    classes = [member for _, member in inspect.getmembers(module, inspect.isclass)]
    return [c for c in classes if issubclass(c, Table) and c is not Table and c.__module__ == module.__name__]


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda c: c.name)
def test_import_contracts_name_it(capability: Capability) -> None:
    package = f"luna_serving.capabilities.{capability.name}"
    independent = next(c for c in CONTRACTS if c["name"] == "capabilities do not import each other")
    assert package in independent["modules"]
    if capability.replica is not None:
        light = next(c for c in CONTRACTS if c["name"].startswith("a compute replica"))
        assert capability.replica.__module__ in light["source_modules"]


def test_names_are_unique_and_can_stand_in_variables_and_paths() -> None:
    names = [capability.name for capability in CAPABILITIES]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z]+", name) for name in names)


def test_a_capability_that_is_not_there_is_refused_by_name() -> None:
    names = ", ".join(each.name for each in CAPABILITIES)
    with pytest.raises(ValueError, match=rf"no capability 'weather': choose from {names}\."):
        chosen(CAPABILITIES, ["weather"])


@pytest.mark.parametrize(
    ("only", "wanted", "expected"),
    [
        ([], {}, {"kalman": ("kalman",), "mean": ("mean",)}),
        ([], {"compute": ["*"]}, {"compute": ("kalman", "mean")}),
        ([], {"compute": ["mean"]}, {"compute": ("mean",), "kalman": ("kalman",)}),
        (["mean"], {"compute": ["kalman", "mean"]}, {"compute": ("mean",)}),
        (["account"], {"compute": ["*"]}, {}),
    ],
)
def test_hosts_share_what_the_settings_say(
    only: list[str], wanted: dict[str, list[str]], expected: dict[str, tuple[str, ...]]
) -> None:
    capabilities = (ACCOUNT, KALMAN, MEAN)
    settings = read_settings({c.name: c.settings for c in capabilities}, {"only": only, "hosts": wanted})
    found = {host: tuple(c.name for c in members) for host, members in hosts(capabilities, settings).items()}
    assert found == expected


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"a": ["kalman"], "b": ["kalman"]}, "'kalman' twice"),
        ({"a": ["*"], "b": ["*"]}, r"'\*' twice"),
        ({"ingress": ["kalman"]}, "'ingress' cannot name a host"),
        ({"A b": ["kalman"]}, "'A b' cannot name a host"),
        ({"a": ["account"]}, "'account', but no capability that computes"),
    ],
)
def test_hosts_that_make_no_sense_are_refused_with_the_cure(wanted: dict[str, list[str]], words: str) -> None:
    settings = read_settings({c.name: c.settings for c in CAPABILITIES}, {"hosts": wanted})
    with pytest.raises(ValueError, match=words):
        hosts(CAPABILITIES, settings)

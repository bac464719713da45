"""What users can set or read is documented."""

import re
import runpy
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Metric

import luna_serving
from luna_operator.metrics import Metrics as OperatorMetrics
from luna_operator.metrics import SettlementMetrics
from luna_operator.settings import Settings as OperatorSettings
from luna_serving.access.people.metrics import PeopleMetrics
from luna_serving.access.request_log.metrics import RequestLogMetrics
from luna_serving.access.throttle.metrics import ThrottleMetrics
from luna_serving.app import CAPABILITIES
from luna_serving.capabilities.alerts.metrics import AlertMetrics
from luna_serving.capabilities.blackscholes.metrics import BlackScholesMetrics
from luna_serving.capabilities.datasets.metrics import SetGauges, ValidationMetrics
from luna_serving.capabilities.indicators.metrics import CacheMetrics, ReplicaMetrics
from luna_serving.capabilities.kalman.metrics import KalmanMetrics
from luna_serving.capabilities.market.metrics import MarketGauges, MarketMetrics
from luna_serving.capabilities.markowitz.metrics import MarkowitzMetrics
from luna_serving.capabilities.metrics.metrics import ShardMetrics
from luna_serving.capabilities.montecarlo.metrics import MonteCarloMetrics
from luna_serving.jobs.housekeeping import BacklogMetrics
from luna_serving.jobs.metrics import LoopMetrics
from luna_serving.jobs.routes.watching import WatchMetrics
from luna_serving.jobs.running.metrics import JobMetrics
from luna_serving.jobs.webhooks.metrics import WebhookMetrics
from luna_serving.live.metrics import LiveMetrics, PublishingMetrics
from luna_serving.local.loopback.haproxy_answers import (
    ANSWERS,
    MAX_HEADERS,
    MAX_HEADERS_BYTES,
    MAX_TARGET_BYTES,
    NOT_SERVED,
    REFUSALS,
)
from luna_serving.local.loopback.haproxy_pages import PAGES
from luna_serving.objects.access import ObjectAccess
from luna_serving.objects.metrics import ObjectMetrics
from luna_serving.prices.metrics import MappedMetrics
from luna_serving.settings import variables
from luna_serving.telemetry.metrics import AccessMetrics, DispatchMetrics, RequestMetrics
from luna_store.accounts.secrets import Secrets

DOCS = Path(__file__).parents[1] / "docs"
CONFIGURATION = (DOCS / "configuration.md").read_text()
METRICS = (DOCS / "exported-metrics.md").read_text()
ERRORS = (DOCS / "errors.md").read_text()
OPERATOR_PAGE = (DOCS / "operator.md").read_text()


def operator_metrics() -> list[Metric]:
    metrics = OperatorMetrics()
    SettlementMetrics(metrics.registry)
    return list(metrics.registry.collect())


def serving_metrics() -> list[Metric]:
    registry = CollectorRegistry()
    for metrics in (
        RequestMetrics,
        RequestLogMetrics,
        AccessMetrics,
        ThrottleMetrics,
        PeopleMetrics,
        DispatchMetrics,
        LoopMetrics,
        BacklogMetrics,
        JobMetrics,
        ObjectMetrics,
        WatchMetrics,
        WebhookMetrics,
        AlertMetrics,
        KalmanMetrics,
        MonteCarloMetrics,
        BlackScholesMetrics,
        MarkowitzMetrics,
        SetGauges,
        ValidationMetrics,
        MarketMetrics,
        MarketGauges,
        ShardMetrics,
        LiveMetrics,
        PublishingMetrics,
        MappedMetrics,
        CacheMetrics,
        ReplicaMetrics,
    ):
        metrics(registry)
    return list(registry.collect())


FAMILIES = {metric.name: metric for metric in [*serving_metrics(), *operator_metrics()]}


def test_the_configuration_page_says_of_settings_what_the_code_says() -> None:
    generate = runpy.run_path(str(DOCS / "generate.py"))
    assert generate["with_settings"](CONFIGURATION) == CONFIGURATION, "run: python docs/generate.py"


def test_the_page_of_rules_lists_every_rule_of_validation() -> None:
    generate = runpy.run_path(str(DOCS / "generate.py"))
    page = (DOCS / "validation-rules.md").read_text()
    assert generate["with_rules"](page) == page, "run: python docs/generate.py"


def test_the_page_of_indicators_says_what_the_catalogue_says() -> None:
    generate = runpy.run_path(str(DOCS / "generate.py"))
    page = (DOCS / "indicator-catalogue.md").read_text()
    assert generate["with_catalogue"](page) == page, "run: python docs/generate.py"


def test_the_command_line_knows_the_names_that_capabilities_grant() -> None:
    generate = runpy.run_path(str(DOCS / "generate.py"))
    assert generate["grant_names"]() == generate["GRANT_NAMES"].read_text(), "run: python docs/generate.py"


def test_the_page_of_indicators_lists_their_names() -> None:
    generate = runpy.run_path(str(DOCS / "generate.py"))
    page = (DOCS / "indicators.md").read_text()
    assert generate["with_grants"](page) == page, "run: python docs/generate.py"


@pytest.mark.parametrize("name", [*Secrets.model_fields, *ObjectAccess.model_fields])
def test_every_secret_stands_in_the_configuration_page(name: str) -> None:
    assert f"| `{name.upper()}` |" in CONFIGURATION


def test_the_configuration_page_names_no_setting_that_is_none() -> None:
    known = {name for name, _ in variables({each.name: each.settings for each in CAPABILITIES})}
    assert set(re.findall(r"`(LUNA_[A-Z0-9_]+)`", CONFIGURATION)) == {*known, "LUNA_PEPPERS", "LUNA_CLIENT_SECRETS"}


# Counters whose users know them without `_total`.
PLAIN = {"s3_upload_count", "s3_upload_bytes"}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_metric_stands_in_the_metrics_page_with_its_kind(name: str) -> None:
    metric = FAMILIES[name]
    full = f"{name}_total" if metric.type == "counter" and name not in PLAIN else name
    assert f"| `{full}` | {metric.type} |" in METRICS


def test_the_metrics_page_names_no_metric_that_is_none() -> None:
    named = re.findall(r"\| `((?:luna|http|validation|s3|concurrent)_\w+)`", METRICS)
    assert {name.removesuffix("_total") for name in named} == set(FAMILIES)


@pytest.mark.parametrize("name", OperatorSettings.model_fields)
def test_every_setting_of_the_operator_stands_in_its_page_with_its_default(name: str) -> None:
    start = f"| `LUNA_OPERATOR_{name.upper()}` |"
    (row,) = [line for line in OPERATOR_PAGE.splitlines() if line.startswith(start)]
    field = OperatorSettings.model_fields[name]
    default = "required" if field.is_required() else field.default
    assert row.startswith(f"{start} {default:g} |" if isinstance(default, float) else f"{start} {default} |")


def test_the_operators_page_names_no_setting_that_is_none() -> None:
    named = {name.lower() for name in re.findall(r"`LUNA_OPERATOR_([A-Z_]+)`", OPERATOR_PAGE)}
    assert named == set(OperatorSettings.model_fields)


def test_the_errors_page_has_every_problem_type_with_its_status_and_no_other() -> None:
    written = "\n".join(source.read_text() for source in Path(luna_serving.__file__).parent.rglob("*.py"))
    served = re.findall(r'\b(?:Problem|kind)\(\s*"([a-z-]+)",\s*(\w+)', written)
    by_the_proxy = re.findall(r'problems/([a-z-]+)",.*?"status":(\d+)', _answers_of_the_proxy())
    answered: dict[str, set[str]] = {}
    for slug, status in [*served, *by_the_proxy]:
        answered.setdefault(slug, set()).add(status if status.isdigit() else "any")
    listed = re.findall(r"^\| `([a-z-]+)` \| (\d{3}|any) \|", ERRORS, re.MULTILINE)
    assert sorted(slug for slug, _ in listed) == sorted(answered)
    assert [(slug, status) for slug, status in listed if status not in answered[slug]] == []


def _answers_of_the_proxy() -> str:
    refusals = [problem for _, _, problem in REFUSALS]
    return " ".join([*ANSWERS.values(), *refusals, NOT_SERVED, *(page.problem for page in PAGES)])


def test_the_errors_page_states_the_limits_of_a_head() -> None:
    assert f"more than {MAX_HEADERS} headers, or more than {MAX_HEADERS_BYTES // 1024} kB of them" in ERRORS
    assert f"path and query have more than {MAX_TARGET_BYTES // 1024} kB" in ERRORS

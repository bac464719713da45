"""values.schema.json and the chart's checks: invalid values are refused, and the message names the field."""

from __future__ import annotations

import json
import re
import runpy
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.charts.rendering import CHART, VALUES, ChartRefusedError, template

from luna_serving.app import CAPABILITIES

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("replicaCount", 3),
        ("operator.replicsa", 3),
        ("operator.replicas", 0),
        ("operator.replicas", "two"),
        ("operator.publicUrl", "luna.example.com"),
        ("operator.publicUrl", "https://luna.example.com/"),
        ("operator.sweepSeconds", 0),
        ("operator.logLevel", "info"),
        ("operator.extraEnv", {"NAME": "value"}),
        ("operator.spread", "soft"),
        ("serving.capabilities.kalman.replicas.min", 0),
        ("serving.capabilities.kalman.cpus", 0),
        ("serving.capabilities.kalman.gpus", -1),
        ("serving.capabilities.kalman.settings.warm_states", 65),
        ("serving.rayVersion", "nightly"),
        ("serving.rayAuth", "none"),
        ("serving.settings.edge.request_timeout_s", 0),
        ("serving.settings.edge.request_timeout", 30),
        ("serving.settings.dispatch.max_batch", 1.5),
        ("serving.upgrade.type", "Recreate"),
        ("serving.upgrade.settings", "Never"),
        ("serving.upgrade.stepSizePercent", 101),
        ("serving.upgrade.initializingTimeout", "30"),
        ("serving.workers.cpu.max", 0),
        ("serving.workers.cpu.resources.requests.memory", "4 GB"),
        ("serving.workers.gpu.tolerations", "all"),
        ("serving.gcsFaultTolerance.redisAddress", "redis://:secret@redis:6379"),
        ("serving.objectStoreBytes", 1000),
        ("database.existingSecret", "Luna_Database"),
        ("peppers.existingSecretKey", "a key"),
        ("postgres.persistence.size", "8 gigabytes"),
        ("valkey.appendfsync", "no"),
        ("valkey.maxmemory", "80%"),
        ("images.serving.digest", "sha256:short"),
        ("images.serving.repository", "luna-serving:latest"),
        ("imagePullSecrets", ["regcred"]),
        ("ingress.paths", []),
        ("ingress.paths", ["api"]),
        ("httpRoute.timeout", "a minute"),
        ("networkPolicy.apiServer.ports", [70000]),
        ("monitoring.rules.sloPercent", 100),
        ("monitoring.serviceMonitor.interval", "often"),
        ("commonLabels.team", 7),
        ("tests.timeoutSeconds", 0),
        ("service.type", "ExternalName"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ChartRefusedError) as refused:
        template("--set-json", f"{field}={json.dumps(value)}")
    said = refused.value.args[0]
    *folder, last = field.split(".")
    # For an unknown name helm's error has its parent object and the name.
    assert re.search(f"at '/{'/'.join([*folder, last])}[/']", said) or (
        re.search(f"'{last}' not allowed", said) and (not folder or f"/{'/'.join(folder)}'" in said)
    ), said


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"security.runAsUser": 0}, "security.runAsUser must not be 0"),
        ({"postgres.enabled": False}, "database.existingSecret must name a Secret"),
        ({"valkey.enabled": False, "serving.gcsFaultTolerance.enabled": False}, "redis.existingSecret must name a"),
        ({"database.existingSecret": "mine"}, "set postgres.enabled to false"),
        ({"redis.existingSecret": "mine"}, "set valkey.enabled to false"),
        ({"objects.endpoint": "https://s3.example.com"}, "set seaweedfs.enabled to false"),
        ({"objects.existingSecret": "mine"}, "set seaweedfs.enabled to false"),
        (
            {"seaweedfs.enabled": False, "objects.endpoint": "https://s3.example.com"},
            "objects.existingSecret must name a Secret",
        ),
        ({"seaweedfs.enabled": False, "objects.existingSecret": "mine"}, "set objects.endpoint to its URL"),
        ({"serving.ingress.replicas.min": 9}, r"serving.ingress.replicas.min \(9\) must not exceed"),
        (
            {"serving.capabilities.kalman.replicas.min": 9},
            r"serving.capabilities.kalman.replicas.min \(9\) must not exceed",
        ),
        ({"serving.workers.cpu.min": 99}, r"serving.workers.cpu.min \(99\) must not exceed"),
        ({"serving.capabilities.kalman.gpus": 1}, "set serving.workers.gpu.enabled"),
        ({"serving.workers.gpu.enabled": True}, "set serving.capabilities.kalman.gpus"),
        ({"valkey.enabled": False, "redis.existingSecret": "mine"}, "set serving.gcsFaultTolerance.redisAddress"),
        ({"valkey.persistence.enabled": False}, "Set valkey.persistence.enabled to true"),
        ({"serving.drainSeconds": 29}, r"serving.drainSeconds \(29\) is too short"),
        ({"serving.upgrade.type": "NewClusterWithIncrementalUpgrade"}, "serving.upgrade.gatewayClassName"),
        ({"ingress.enabled": True, "ingress.tls.enabled": True}, "ingress.tls.enabled needs ingress.host"),
        ({"httpRoute.enabled": True}, "httpRoute.parentRefs"),
        ({"ingress.enabled": True, "ingress.host": "*.example.com"}, "set operator.publicUrl"),
        (
            {r"commonLabels.app\.kubernetes\.io/part-of": "platform"},
            "commonLabels must not hold app.kubernetes.io/part-of",
        ),
    ],
)
def test_values_that_contradict_each_other_are_refused_with_the_cure(values: dict[str, Any], words: str) -> None:
    settings = [
        argument for name, value in values.items() for argument in ("--set-json", f"{name}={json.dumps(value)}")
    ]
    with pytest.raises(ChartRefusedError, match=words):
        template(*settings)


def test_a_worker_that_is_alone_may_end_at_once() -> None:
    assert template("--set", "serving.drainSeconds=5,serving.autoscaler.enabled=false")


def test_an_ingress_beside_kuberays_own_gateway_is_refused() -> None:
    incremental = VALUES / "incremental.yaml"
    with pytest.raises(ChartRefusedError, match="disable ingress and httpRoute"):
        template("--values", incremental, "--set", "ingress.enabled=true")
    with pytest.raises(ChartRefusedError, match=r"set operator\.publicUrl"):
        template("--values", incremental, "--set", "operator.publicUrl=")


def test_the_schema_knows_exactly_the_values_of_values_yaml() -> None:
    def agree(schema: dict[str, Any], value: Any, path: str) -> Iterator[str]:
        schema = resolved(schema)
        if schema.get("type") != "object" or "properties" not in schema:
            return
        assert schema["additionalProperties"] is False, f"{path} takes any name"
        yield from (f"{path}.{name} has no default" for name in schema["properties"].keys() - value.keys())
        yield from (f"{path}.{name} is not in the schema" for name in value.keys() - schema["properties"].keys())
        for name in schema["properties"].keys() & value.keys():
            yield from agree(schema["properties"][name], value[name], f"{path}.{name}")

    # Helm passes `global` on; the settings' defaults are the application's; claims are rare.
    allowed = re.compile(r"\.(global|settings(\.\w+)+|(requests|limits|claims)) has no default$")
    assert [complaint for complaint in agree(SCHEMA, DEFAULTS, "") if not allowed.search(complaint)] == []


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").removeprefix("#/definitions/")
    return SCHEMA["definitions"][name] if name else schema


def test_every_value_is_described() -> None:
    def undescribed(schema: dict[str, Any], path: str) -> Iterator[str]:
        if "description" not in resolved(schema) and "enum" not in resolved(schema):
            yield path
        for name, field in resolved(schema).get("properties", {}).items():
            yield from undescribed(field, f"{path}.{name}")

    plain = re.compile(r"\.(resources(\.\w+)?|hostnames)$")
    assert [path for path in undescribed(SCHEMA, "") if not plain.search(path)] == []


def test_the_schema_says_of_settings_what_the_application_says() -> None:
    generate = runpy.run_path(str(CHART.parent / "generate.py"))
    assert generate["with_settings"](json.loads(json.dumps(SCHEMA))) == SCHEMA, "run: python charts/generate.py"


def test_the_chart_has_values_for_every_capability_that_has_settings() -> None:
    assert DEFAULTS["serving"]["capabilities"].keys() == {c.name for c in CAPABILITIES if c.settings.model_fields}

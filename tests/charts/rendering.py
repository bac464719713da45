"""The chart as helm renders it, for several sets of values."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.cluster.folders import assets_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "luna"
VALUES = Path(__file__).parent / "values"
RELEASE, NAMESPACE = "luna", "models"

# What people install, and what puts every template to work.
CASES: dict[str, tuple[Path, ...]] = {
    "default": (),
    "dev": (CHART / "values-dev.yaml",),
    "production": (CHART / "values-production.yaml",),
    "gpu": (VALUES / "gpu.yaml",),
    "incremental": (VALUES / "incremental.yaml",),
    "everything": (VALUES / "everything.yaml",),
}

Manifest = dict[str, Any]


class ChartRefusedError(Exception):
    """Helm did not render; the text is what it said."""


def helm() -> str:
    """Path of helm; fails the test where there is none."""
    bundled = assets_folder() / "helm"
    if found := str(bundled) if bundled.is_file() else shutil.which("helm"):
        return found
    pytest.fail(f"helm is neither in {bundled.parent} nor on PATH: run `make cluster-assets`", pytrace=False)


def template(*args: object, release: str = RELEASE, namespace: str = NAMESPACE) -> str:
    """What `helm template` writes.

    Raises:
        ChartRefusedError: it refuses the values.
    """
    command = [helm(), "template", release, str(CHART), "--namespace", namespace, *map(str, args)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise ChartRefusedError(run.stderr)
    return run.stdout


@cache
def rendered(case: str) -> tuple[Manifest, ...]:
    """The objects of a case."""
    files = [argument for path in CASES[case] for argument in ("--values", path)]
    return parsed(template(*files))


def parsed(text: str) -> tuple[Manifest, ...]:
    """The objects of a stream of YAML."""
    return tuple(manifest for manifest in yaml.safe_load_all(text) if manifest)


def of_kind(manifests: tuple[Manifest, ...], kind: str) -> dict[str, Manifest]:
    """The objects of a kind by name."""
    found = [manifest for manifest in manifests if manifest["kind"] == kind]
    named = {manifest["metadata"]["name"]: manifest for manifest in found}
    assert len(named) == len(found), f"two {kind}s of one name"
    return named


def only(manifests: tuple[Manifest, ...], kind: str) -> Manifest:
    """The one object of a kind."""
    [manifest] = of_kind(manifests, kind).values()
    return manifest


def pod_templates(manifests: tuple[Manifest, ...]) -> Iterator[tuple[str, Manifest]]:
    """Every pod's metadata and spec, with a name for messages; those of the RayService as well."""
    for manifest in manifests:
        name = f"{manifest['kind']}/{manifest['metadata']['name']}"
        match manifest["kind"]:
            case "Pod":
                yield name, manifest
            case "Deployment" | "StatefulSet" | "Job":
                yield name, manifest["spec"]["template"]
            case "RayService":
                cluster = manifest["spec"]["rayClusterConfig"]
                yield f"{name}/head", cluster["headGroupSpec"]["template"]
                for group in cluster["workerGroupSpecs"]:
                    yield f"{name}/{group['groupName']}", group["template"]


def containers(template_: Manifest) -> list[Manifest]:
    """The containers of a pod, those that come first included."""
    return [*template_["spec"].get("initContainers", ()), *template_["spec"]["containers"]]


def is_hook(manifest: Manifest, name: str = "") -> bool:
    """Whether helm treats it as a hook, or as this one."""
    hooks = manifest["metadata"].get("annotations", {}).get("helm.sh/hook", "")
    return name in hooks.split(",") if name else bool(hooks)


def environment(container: Manifest) -> dict[str, Any]:
    """A container's variables: text, or where it comes from."""
    names = [variable["name"] for variable in container.get("env", ())]
    assert len(names) == len(set(names)), f"{container['name']} sets a variable twice: {names}"
    return {v["name"]: v.get("value", v.get("valueFrom")) for v in container.get("env", ())}

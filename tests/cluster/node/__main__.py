"""`make cluster-up` and `make cluster-down`: `python -m tests.cluster.node up [OPTIONS OF HELM] | down`."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster import assets
from tests.cluster.folders import assets_folder
from tests.cluster.kubernetes import CommandFailedError, Kubernetes, ProgramMissingError
from tests.cluster.node import images, kuberay, loading, luna, namespaces, node, packages, programs, values
from tests.cluster.node.layout import Layout
from tests.cluster.node.podman import Podman
from tests.cluster.node.shell import NodeError, run
from tests.cluster.steps import AssetUnavailableError, step

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def main(arguments: Sequence[str]) -> int:
    """Do what the first argument says; return the exit status."""
    verb, *options = arguments or [""]
    layout, begun = Layout(assets_folder()), time.monotonic()
    elsewhere = _other_cluster(layout)
    try:
        match verb:
            case "up" if elsewhere:
                _up_elsewhere(elsewhere, options)
            case "up":
                _up(layout, options)
            case "down" if elsewhere:
                _down_elsewhere(elsewhere)
            case "down":
                _require_root()
                with step("The node ends"):
                    node.stop(layout)
            case _:
                _say(__doc__ or "")
                return 2
    except (AssetUnavailableError, CommandFailedError, NodeError, ProgramMissingError) as error:
        _say(f"\nmake cluster-{verb}: {error}\nWhat is finished is kept: run it again, or `make cluster-down`.")
        return 1
    except KeyboardInterrupt:
        _say("\nInterrupted. What is finished is kept: run it again, or `make cluster-down`.")
        return 130
    _say(f"make cluster-{verb}: {time.monotonic() - begun:.1f} s")
    return 0


def _up(layout: Layout, options: Sequence[str]) -> None:
    _require_root()
    layout.logs.mkdir(parents=True, exist_ok=True)
    if missing := packages.missing():
        with step(f"Packages: {', '.join(missing)}"):
            packages.install(missing, layout.logs / "packages.log")
    assets.fill(layout.assets, assets.CONTROL_PLANE)
    assets.fill(layout.programs, programs.NODE)
    podman = Podman(layout.images)
    built = images.build(layout, podman)
    if not node.is_running(layout):
        with step("The node"):
            node.start(layout, built.pause)
    inside = namespaces.find(layout)
    if inside is None:
        raise NodeError(f"The node ended. Its logs: {layout.logs}")
    loading.load(inside, podman, built)
    cluster = node.kubernetes(layout)
    with step("KubeRay"):
        kuberay.install(cluster, layout.programs / "kuberay", layout.folder / "kuberay", built.kuberay)
    chosen = layout.folder / "values.json"
    chosen.write_text(json.dumps(values.for_the_node(built), indent=2))
    luna.install(cluster, ["--values", str(chosen), *options])
    call = luna.curl(luna.service_address(cluster), *luna.key(cluster))
    with step("A first call"):
        answer = run("sh", "-c", call)
    _say(f"\n{call}\n{answer.strip()}\n")
    _say(f"export KUBECONFIG={layout.kubeconfig} PATH={layout.assets}:$PATH\n")


def _up_elsewhere(kubeconfig: Path, options: Sequence[str]) -> None:
    with _cluster_of(kubeconfig) as cluster:
        if not cluster.kubectl("get", "crd", "rayservices.ray.io", "--ignore-not-found"):
            raise NodeError("This cluster has no KubeRay; README.md says how to install it with helm.")
        luna.install(cluster, options)
        call = luna.curl("http://127.0.0.1:8000", *luna.key(cluster))
    _say(f"\nkubectl --namespace {luna.NAMESPACE} port-forward service/{luna.RELEASE}-serve 8000 &\n{call}\n")


def _down_elsewhere(kubeconfig: Path) -> None:
    with _cluster_of(kubeconfig) as cluster, step("Luna is uninstalled"):
        luna.uninstall(cluster)


def _other_cluster(layout: Layout) -> Path | None:
    """The developer's own cluster, if KUBECONFIG names one: what `make cluster-up` prints is the node's."""
    # As kubectl does, take the first of a list.
    named = os.environ.get("KUBECONFIG", "").split(os.pathsep, 1)[0]
    return Path(named) if named and Path(named) != layout.kubeconfig else None


@contextmanager
def _cluster_of(kubeconfig: Path) -> Iterator[Kubernetes]:
    with tempfile.TemporaryDirectory() as folder:
        yield Kubernetes(kubeconfig, assets_folder(), Path(folder))


def _require_root() -> None:
    here = (platform.system(), platform.machine())
    if here != ("Linux", "x86_64"):
        raise NodeError("The node needs Linux on x86-64. Elsewhere: `kind create cluster --config kind.yaml`.")
    if os.geteuid() != 0:
        raise NodeError("The node needs root: namespaces, mounts and cgroups. Run it with sudo.")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

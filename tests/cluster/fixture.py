"""The run's Kubernetes: `KUBECONFIG`'s cluster, else one of our own of `KUBEBUILDER_ASSETS` or `make cluster-assets`.

A run without any of them fails: a test that is skipped where nobody looks proves nothing.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.cluster import Cluster
from tests.cluster.folders import assets_folder
from tests.cluster.kubernetes import CommandFailedError, Kubernetes, ProgramMissingError

ROOT = Path(__file__).resolve().parents[2]
# Only Luna's existing CRDs: one file per kind, see crds/.
LUNA_CRDS = tuple(sorted((ROOT / "crds").glob("*.yaml")))


def programs() -> Path:
    """Return the folder of the cluster's programs; fails the test if there is none."""
    given = os.environ.get("KUBEBUILDER_ASSETS")
    folder = Path(given) if given else assets_folder()
    missing = [name for name in ("etcd", "kube-apiserver", "kubectl") if not (folder / name).is_file()]
    if not missing:
        return folder
    which = f"KUBEBUILDER_ASSETS={folder}" if given else str(folder)
    pytest.fail(
        f"No Kubernetes API server to test against: {which} lacks {', '.join(missing)}. Build one with "
        "`make cluster-assets` (some minutes, once), or set KUBECONFIG to a cluster that tests may fill.",
        pytrace=False,
    )


def external(kubeconfig: str, folder: Path) -> Kubernetes:
    """Return the developer's own cluster; fails the test if it does not answer."""
    # As kubectl does, take the first of a list.
    cluster = Kubernetes(Path(kubeconfig.split(os.pathsep, 1)[0]), assets_folder(), folder)
    try:
        cluster.kubectl("get", "namespaces", "--request-timeout=10s")
    except (CommandFailedError, ProgramMissingError) as error:
        pytest.fail(
            f"KUBECONFIG={kubeconfig} leads to no cluster that answers. Start it, or unset KUBECONFIG: then the tests "
            f"start one of their own.\n{error}",
            pytrace=False,
        )
    return cluster


@pytest.fixture(scope="session")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    """A real API server, for the whole run. Work in a `namespace`."""
    folder = tmp_path_factory.mktemp("kubernetes")
    if kubeconfig := os.environ.get("KUBECONFIG"):
        yield external(kubeconfig, folder)
        return
    cluster = Cluster(folder, programs(), LUNA_CRDS)
    if not cluster.collects_garbage:
        warnings.warn(
            f"{cluster.assets} has no kube-controller-manager (`make cluster-assets` has one): tests that wait for "
            "garbage collection will fail",
            stacklevel=1,
        )
    with cluster:
        yield cluster
    shutil.rmtree(folder / "kubectl-cache", ignore_errors=True)


@pytest.fixture(scope="session")
def luna_cluster(kubernetes: Kubernetes) -> Kubernetes:
    """The run's Kubernetes with Luna's CRDs, as the working tree has them."""
    kubernetes.apply_crds(*LUNA_CRDS)
    return kubernetes


@pytest.fixture(scope="session")
def third_party_crds(kubernetes: Kubernetes) -> Kubernetes:
    """The run's Kubernetes with the kinds of KubeRay, the Prometheus operator and the Gateway API. Takes 10 s."""
    folder = kubernetes.assets / "crds"
    if not folder.is_dir():
        pytest.fail(f"{folder} is missing: run `make cluster-assets`", pytrace=False)
    kubernetes.apply_crds(*sorted(path for path in folder.iterdir() if path.is_dir()))
    return kubernetes


@pytest.fixture
def namespace(kubernetes: Kubernetes) -> Iterator[str]:
    """A namespace of the test's own."""
    with kubernetes.namespace() as name:
        yield name

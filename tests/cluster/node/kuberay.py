"""KubeRay's operator, installed from the manifests of its Go module with an image of the node's own."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

import yaml
from tests.cluster.node.shell import NodeError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.kubernetes import Kubernetes

NAMESPACE = "kuberay-system"
_NAME = "kuberay-operator"
_LABELS = ("app.kubernetes.io/name", "app.kubernetes.io/component")
# 10 s where nothing else runs; 80 s were seen on two busy cores.
_START_S = 300.0


def kustomization(image: str) -> str:
    """Return what turns the module's manifests into what its Helm chart installs, with `image`."""
    repository, _, tag = image.rpartition(":")
    resources = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}
    container = "/spec/template/spec/containers/0"
    patch = [
        {"op": "replace", "path": f"{container}/resources", "value": resources},
        {"op": "add", "path": f"{container}/imagePullPolicy", "value": "Never"},
    ]
    text: str = yaml.safe_dump(
        {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "namespace": NAMESPACE,
            "resources": ["namespace.yaml", "rbac", "operator"],
            # As KubeRay's Helm chart has them: Luna's network policies select by the name.
            "labels": [{"includeSelectors": True, "pairs": dict.fromkeys(_LABELS, _NAME)}],
            "images": [{"name": "kuberay/operator", "newName": repository, "newTag": tag}],
            "patches": [{"target": {"kind": "Deployment"}, "patch": yaml.safe_dump(patch)}],
        }
    )
    return text


def install(cluster: Kubernetes, manifests: Path, folder: Path, image: str) -> None:
    """Apply KubeRay's kinds, rights and operator; wait until the operator runs.

    Args:
        cluster: where to.
        manifests: the module's `rbac` and `manager`.
        folder: for the rendered files.
        image: of the operator.

    Raises:
        CommandFailedError: kubectl refused.
        NodeError: it does not come up in time.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "operator").mkdir(parents=True)
    shutil.copytree(manifests / "rbac", folder / "rbac")
    files = ("manager.yaml", "service.yaml")
    for name in files:
        shutil.copy(manifests / "manager" / name, folder / "operator")
    (folder / "operator" / "kustomization.yaml").write_text(yaml.safe_dump({"resources": list(files)}))
    (folder / "namespace.yaml").write_text(
        yaml.safe_dump({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    )
    (folder / "kustomization.yaml").write_text(kustomization(image))
    cluster.apply_crds(cluster.assets / "crds" / "kuberay")
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "--kustomize", folder)
    rollout = ("rollout", "status", f"deployment/{_NAME}", "--namespace", NAMESPACE, "--timeout=20s")
    deadline = time.monotonic() + _START_S
    while "successfully rolled out" not in (said := cluster.kubectl(*rollout, check=False)):
        if time.monotonic() > deadline:
            raise NodeError(f"KubeRay's operator does not come up within {_START_S:.0f} s: {said.strip()}")

"""The CRDs of others that the chart's objects need, inside the Go modules of their makers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Crds:
    """CRDs inside a Go module. `checksum` is what a go.sum would hold."""

    module: str
    version: str
    checksum: str
    folder: str
    files: tuple[str, ...]

    def __str__(self) -> str:
        """Return their pin."""
        return f"{self.module} {self.version} {self.checksum} {' '.join(self.files)}"


CRDS = {
    # The oldest KubeRay that the chart supports: a newer one knows these fields, too.
    "kuberay": Crds(
        "github.com/ray-project/kuberay/ray-operator",
        "v1.5.1",
        "h1:7FJYmB8oM+cnjv1VYCj/TfzRZG4XHvvt5Ayn5pZ5A1c=",
        "config/crd/bases",
        ("ray.io_rayclusters.yaml", "ray.io_rayjobs.yaml", "ray.io_rayservices.yaml"),
    ),
    "prometheus-operator": Crds(
        "github.com/prometheus-operator/prometheus-operator",
        "v0.85.0",
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
        "example/prometheus-operator-crd",
        tuple(f"monitoring.coreos.com_{kind}.yaml" for kind in ("podmonitors", "prometheusrules", "servicemonitors")),
    ),
    "gateway-api": Crds(
        "sigs.k8s.io/gateway-api",
        "v1.4.1",
        "h1:NPxFutNkKNa8UfLd2CMlEuhIPMQgDQ6DXNKG9sHbJU8=",
        "config/crd/standard",
        tuple(f"gateway.networking.k8s.io_{kind}.yaml" for kind in ("gatewayclasses", "gateways", "httproutes")),
    ),
}

"""Accounts and Tiers at a real API server, as a strict client sends them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kubernetes.client import ApiException, CustomObjectsApi
from kubernetes.config import new_client_from_config

if TYPE_CHECKING:
    from pathlib import Path

NOTHING: dict[str, Any] = {}


def resource(kind: str, spec: dict[str, Any] | None = NOTHING, name: str = "acme", **more: Any) -> dict[str, Any]:
    """Return an Account or a Tier; `spec=None` leaves the spec out."""
    body = {"apiVersion": "luna.dev/v1", "kind": kind, "metadata": {"name": name}, **more}
    return body if spec is None else {**body, "spec": spec}


class LunaApi:
    """One namespace's Accounts, and the cluster's Tiers."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self._api = CustomObjectsApi(new_client_from_config(str(kubeconfig)))
        self.namespace = namespace

    def dry_run(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the resource as the API server would store it."""
        return self._create(body, field_validation="Strict", dry_run="All")

    def create(self, body: dict[str, Any], validation: str = "Strict") -> dict[str, Any]:
        return self._create(body, field_validation=validation)

    def refusal(self, body: dict[str, Any]) -> str:
        """Return what the API server says against the resource."""
        try:
            accepted = self.dry_run(body)
        except ApiException as refused:
            return said(refused)
        raise AssertionError(f"accepted: {accepted}")

    def patch(self, name: str, body: dict[str, Any], *, status: bool = False) -> dict[str, Any]:
        """Merge into an Account, or through its status subresource."""
        patch = self._api.patch_namespaced_custom_object_status if status else self._api.patch_namespaced_custom_object
        return patch("luna.dev", "v1", self.namespace, "accounts", name, body, field_validation="Strict")

    def replace(self, body: dict[str, Any]) -> dict[str, Any]:
        """Put an Account in the place of the one of its name; what `body` leaves out is gone."""
        name = body["metadata"]["name"]
        stored = self._api.get_namespaced_custom_object("luna.dev", "v1", self.namespace, "accounts", name)
        body = body | {"metadata": {"name": name, "resourceVersion": stored["metadata"]["resourceVersion"]}}
        return self._api.replace_namespaced_custom_object("luna.dev", "v1", self.namespace, "accounts", name, body)

    def _create(self, body: dict[str, Any], **options: str) -> dict[str, Any]:
        if body["kind"] == "Tier":
            return self._api.create_cluster_custom_object("luna.dev", "v1", "tiers", body, **options)
        return self._api.create_namespaced_custom_object("luna.dev", "v1", self.namespace, "accounts", body, **options)


def said(refused: ApiException) -> str:
    """Return the sentence that kubectl would print."""
    return str(json.loads(refused.body)["message"])

"""The API server as a client of the tests sees it: JSON in, JSON out, with an administrator's rights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kubernetes.client import ApiException
from kubernetes.config import new_client_from_config

if TYPE_CHECKING:
    from pathlib import Path

LUNA = "/apis/luna.dev/v1"
MERGE = "application/merge-patch+json"


class KubeApi:
    """Requests to one API server; for one thread at a time."""

    def __init__(self, kubeconfig: Path) -> None:
        self._client = new_client_from_config(str(kubeconfig))

    def accounts(self) -> list[dict[str, Any]]:
        return self.request("GET", f"{LUNA}/accounts")["items"]

    def tiers(self) -> dict[str, dict[str, Any]]:
        """Every Tier by its name."""
        return {tier["metadata"]["name"]: tier for tier in self.request("GET", f"{LUNA}/tiers")["items"]}

    def secrets(self) -> list[dict[str, Any]]:
        """Leaves out Secrets of other kinds, such as those of service accounts."""
        found = self.request("GET", "/api/v1/secrets", fieldSelector="type=Opaque")["items"]
        return [secret for secret in found if not secret["metadata"]["namespace"].startswith("kube-")]

    def account(self, namespace: str, name: str) -> dict[str, Any]:
        return self.request("GET", account_path(namespace, name))

    def create_account(self, namespace: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        body = {"apiVersion": "luna.dev/v1", "kind": "Account", "metadata": {"name": name}, "spec": spec}
        return self.request("POST", f"{LUNA}/namespaces/{namespace}/accounts", body)

    def edit_account(self, namespace: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        """Merge into its spec."""
        return self.merge(account_path(namespace, name), {"spec": spec})

    def delete_account(self, namespace: str, name: str) -> dict[str, Any]:
        """Answer with the Account as it waits for its finalizers, or as it was if it had none."""
        before = self.account(namespace, name)
        answer = self.request("DELETE", account_path(namespace, name))
        return answer if answer["kind"] == "Account" else before

    def create_tier(self, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        body = {"apiVersion": "luna.dev/v1", "kind": "Tier", "metadata": {"name": name}, "spec": spec}
        return self.request("POST", f"{LUNA}/tiers", body)

    def edit_tier(self, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        return self.merge(f"{LUNA}/tiers/{name}", {"spec": spec})

    def delete_tier(self, name: str) -> None:
        self.request("DELETE", f"{LUNA}/tiers/{name}")

    def merge(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """JSON merge patch."""
        return self.request("PATCH", path, body)

    def request(self, method: str, path: str, body: dict[str, Any] | None = None, **query: str) -> dict[str, Any]:
        """Send one request.

        Raises:
            ApiException: the API server refused it.
            urllib3.exceptions.HTTPError: there was no answer.
        """
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = MERGE if method == "PATCH" else "application/json"
        sent = self._client.param_serialize(
            method, path, None, list(query.items()), headers, body, auth_settings=["BearerToken"]
        )
        answer = self._client.call_api(*sent, _request_timeout=30)
        content = answer.read()
        if answer.status >= 300:
            raise ApiException(http_resp=answer, body=content.decode())
        return json.loads(content)


def account_path(namespace: str, name: str, subresource: str = "") -> str:
    return f"{LUNA}/namespaces/{namespace}/accounts/{name}{subresource}"


def secret_path(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/secrets/{name}"


def is_gone(error: ApiException) -> bool:
    return error.status == 404

"""One Account from every side: the API server, Postgres, Redis, its Secret, and HTTP with its key."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any

import httpx
from kubernetes.client import ApiException
from tests.operator.operating import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.operator.lifecycle.installation import Installation

GROUP = ("luna.dev", "v1")
PROBLEMS = "https://luna.dev/problems/"


class Team:
    """An Account and what became of it."""

    def __init__(self, installation: Installation, namespace: str, name: str) -> None:
        self._at = installation
        self.namespace, self.name = namespace, name
        self._where = (*GROUP, namespace, "accounts")

    # The resource

    def create(self, spec: dict[str, Any] | None = None, **metadata: Any) -> Team:
        metadata = {"name": self.name, **metadata}
        body = {"apiVersion": "luna.dev/v1", "kind": "Account", "metadata": metadata, "spec": spec or {}}
        self._at.custom.create_namespaced_custom_object(*self._where, body, field_validation="Strict")
        return self

    def get(self) -> dict[str, Any]:
        """As the API server has it; LookupError if it does not."""
        return there(lambda: self._at.custom.get_namespaced_custom_object(*self._where, self.name))

    def patch(self, spec: dict[str, Any] | None = None, **metadata: Any) -> Team:
        """Merge into the spec (and the metadata), as `kubectl patch --type=merge` does."""
        body = {"metadata": metadata, "spec": spec or {}}
        self._at.custom.patch_namespaced_custom_object(*self._where, self.name, body, field_validation="Strict")
        return self

    def delete(self) -> None:
        self._at.custom.delete_namespaced_custom_object(*self._where, self.name)

    def exists(self) -> bool:
        try:
            self.get()
        except LookupError:
            return False
        return True

    def gone(self) -> None:
        """Wait until the operator has let it go."""
        eventually(lambda: not self.exists())

    # Its status

    def status(self) -> dict[str, Any]:
        return self.get().get("status", {})

    def settled(self) -> dict[str, Any]:
        """Wait until the status speaks of the newest spec, and return it."""

        def newest() -> dict[str, Any]:
            body = self.get()
            status: dict[str, Any] = body.get("status", {})
            assert status.get("observedGeneration") == body["metadata"]["generation"], body
            return status

        return eventually(newest)

    def ready(self) -> Team:
        """Wait until the newest spec is in force and calls are answered."""
        self.condition("Ready", "True")
        return self

    def condition(self, kind: str, status: str, reason: str | None = None) -> dict[str, Any]:
        """Wait until the condition is so, for the newest spec, and return it."""

        def so() -> dict[str, Any]:
            found = conditions(self.settled())[kind]
            assert (found["status"], found["reason"] if reason else None) == (status, reason), found
            return found

        return eventually(so)

    @property
    def id(self) -> int:
        number: int = self.status()["accountId"]
        return number

    def told(self) -> dict[str, str]:
        """The Events about it: the type of each reason."""
        found = self._at.events.list_namespaced_event(self.namespace, field_selector=f"regarding.name={self.name}")
        return {event.reason: event.type for event in found.items}

    # Its Secret

    def secret(self) -> Any:
        """As the API server has it; LookupError if it does not."""
        return there(lambda: self._at.core.read_namespaced_secret(f"{self.name}-luna-key", self.namespace))

    @property
    def access(self) -> dict[str, str]:
        """What a program finds in the mounted Secret."""
        return {name: b64decode(value).decode() for name, value in self.secret().data.items()}

    @property
    def key(self) -> str:
        return self.access["api-key"]

    # The stores

    def row(self) -> dict[str, Any]:
        """Its row, found by its name."""
        [row] = self.rows()
        return row

    def rows(self) -> list[dict[str, Any]]:
        """The one row, or none."""
        named = "SELECT * FROM accounts WHERE account_name = %s"
        return self._at.sql.execute(named, [f"{self.namespace}/{self.name}"]).fetchall()

    def issued(self) -> list[dict[str, Any]]:
        """Rows of all keys that it ever had, the oldest first."""
        return self._at.sql.execute(
            "SELECT * FROM api_keys WHERE account_id = %s ORDER BY id", [self.row()["id"]]
        ).fetchall()

    def members(self, source: str = "resource") -> dict[str, str]:
        """The roles that a source gives, by address."""
        given = "SELECT email, role FROM memberships WHERE account_id = %s AND source = %s"
        return {row["email"]: row["role"] for row in self._at.sql.execute(given, [self.row()["id"], source])}

    def cached(self) -> dict[str, str]:
        """Its hash in Redis."""
        return self._at.redis.hgetall(f"account:{{{self.row()['id']}}}")

    def used(self) -> int:
        """Units that Postgres knows of, once no event waits."""
        return self._at.luna.used(self.id)

    # HTTP

    def get_http(self, path: str = "", *, key: str | None = None, **params: str) -> httpx.Response:
        return self._ask("GET", path, key, params=params)

    def post(self, path: str, body: dict[str, Any], *, key: str | None = None) -> httpx.Response:
        return self._ask("POST", path, key, json=body)

    def call(self, points: int = 1, *, key: str | None = None) -> httpx.Response:
        """The cheapest call: one series, one unit."""
        return self.post("/kalman", {"results": [1.0] * points}, key=key)

    def _ask(self, method: str, path: str, key: str | None, **more: Any) -> httpx.Response:
        access = self.access if key is None else {"url": self._at.luna.url, "account-id": str(self.id), "api-key": key}
        url = f"{access['url']}/api/v1/{access['account-id']}{path}"
        return httpx.request(method, url, headers={"X-API-Key": access["api-key"]}, timeout=60, **more)


def there(read: Callable[[], Any]) -> Any:
    """Read what may be missing, which `eventually` waits for."""
    try:
        return read()
    except ApiException as error:
        if error.status == 404:
            raise LookupError(error.body) from error
        raise


def conditions(status: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """A status's conditions by their type."""
    return {condition["type"]: condition for condition in status.get("conditions", ())}


def refused(answer: httpx.Response) -> tuple[int, str]:
    """Status and slug of a problem."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].removeprefix(PROBLEMS)

"""One asynchronous client of the API server: JSON in, JSON out, errors by what a caller can do about them.

The `kubernetes` package supplies credentials, their renewal and TLS. Its generated models are not used: they cost more
time than the requests themselves and do not cover custom resources.
"""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
import orjson
from kubernetes.aio import client, config

# Objects per page of a list: 100 Accounts are a few hundred kilobytes, and 150 MB at the API's size limit.
PAGE = 100

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

Observe = Callable[[str, str, str], None]
"""Called after each request with verb, resource and status code (`error` if there was no answer)."""


class ApiError(Exception):
    """The API server refused or failed; `status` is its code, the text its message."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason


class NotFound(ApiError):
    """The object does not exist (any more)."""


class Conflict(ApiError):
    """The object exists already, or is not the one that was seen: observe again."""


class ApiUnavailable(Exception):
    """No answer, or one that says to retry later: try again."""


class ApiServer:
    """Requests to one API server; close it after use."""

    def __init__(self, configuration: client.Configuration, observe: Observe, *, connections: int) -> None:
        configuration.connection_pool_maxsize = connections
        # Otherwise aiohttp looks for ~/.netrc before every request, in a thread.
        configuration.client_session_kwargs = {"trust_env": False}
        self._client = client.ApiClient(configuration)
        self._host = configuration.host.rstrip("/")
        self._observe = observe

    @classmethod
    async def connect(cls, observe: Observe, *, kubeconfig: Path | None = None, connections: int = 32) -> Self:
        """Connect with `kubeconfig`; by default with the service account inside a cluster, else with KUBECONFIG.

        Raises:
            kubernetes.aio.config.ConfigException: none of them is configured.
        """
        configuration = client.Configuration()
        if not kubeconfig and "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            # Passed explicitly: the package reads the variable when it is imported.
            file = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG") or None
            try:
                await config.load_kube_config(file, client_configuration=configuration)  # type: ignore[no-untyped-call]
            except config.ConfigException as e:
                where = file or "~/.kube/config, since KUBECONFIG is not set"
                raise config.ConfigException(
                    f"No API server in {where}: {e}. Set KUBECONFIG to a file that leads to one; in a cluster, mount "
                    "the service account's token."
                ) from e
        return cls(configuration, observe, connections=connections)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()  # type: ignore[no-untyped-call]

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """Read one object."""
        return await self._request("GET", "get", path, query)

    async def pages(self, path: str, **query: str) -> AsyncIterator[list[dict[str, Any]]]:
        """Read a list in pages; raises `Conflict` (410 Gone) if the list expires meanwhile."""
        following = ""
        while True:
            found = await self._request("GET", "list", path, {"limit": str(PAGE), "continue": following, **query})
            yield found["items"]
            following = found["metadata"].get("continue") or ""
            if not following:
                return

    async def create(self, path: str, body: dict[str, Any], **query: str) -> dict[str, Any]:
        """Create; `Conflict` if the name is taken."""
        return await self._request("POST", "create", path, query, body, JSON)

    async def merge(self, path: str, body: dict[str, Any], **query: str) -> dict[str, Any]:
        """JSON merge patch (RFC 7386)."""
        return await self._request("PATCH", "patch", path, query, body, MERGE_PATCH)

    async def apply(self, path: str, body: dict[str, Any], *, manager: str) -> dict[str, Any]:
        """Server-side apply; takes fields over from other managers.

        With `metadata.uid` or `metadata.resourceVersion` in the body, a different object raises `Conflict`.
        """
        query = {"fieldManager": manager, "force": "true"}
        return await self._request("PATCH", "apply", path, query, body, APPLY_PATCH)

    async def _request(
        self,
        method: str,
        verb: str,
        path: str,
        query: Mapping[str, str],
        body: dict[str, Any] | None = None,
        content_type: str | None = None,
    ) -> dict[str, Any]:
        headers = {"Accept": JSON} | ({"Content-Type": content_type} if content_type else {})
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = f"{self._host}{path}"
        if given := {name: value for name, value in query.items() if value}:
            url += f"?{urlencode(given)}"
        resource, code = _resource(path), "error"
        try:
            response = await self._client.rest_client.request(  # type: ignore[no-untyped-call]
                method, url, headers=headers, body=body, _request_timeout=30
            )
            code = str(response.status)
            content = await response.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as e:
            raise ApiUnavailable(f"{method} {path}: {e or type(e).__name__}") from e
        finally:
            self._observe(verb, resource, code)
        return _answer(response.status, content)


def _answer(status: int, content: bytes) -> dict[str, Any]:
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        body = {"message": content[:200].decode(errors="replace")}
    if status < 300:
        return dict(body)
    reason, message = body.get("reason") or "", body.get("message") or ""
    if status == 429 or status >= 500:
        raise ApiUnavailable(f"{status} {reason}: {message}")
    error = {404: NotFound, 409: Conflict, 410: Conflict}.get(status, ApiError)
    causes = (body.get("details") or {}).get("causes") or ()
    if any(cause.get("field") == "metadata.uid" for cause in causes):
        # 422 "field is immutable": the patch was made for another object of this name.
        error = Conflict
    raise error(status, reason, message)


def _resource(path: str) -> str:
    """The kind of object in a path, with its subresource: a metric label with few values."""
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        parts = parts[2:]
    return "/".join(parts[0::2])

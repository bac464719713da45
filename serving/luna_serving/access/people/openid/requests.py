"""Requests to a provider: bounded in time and size."""

import asyncio
import logging
from collections.abc import Mapping
from ssl import SSLContext
from typing import Any, Final

import httpx
import orjson

log = logging.getLogger("luna.openid")

# Discovery documents and key sets have some 2 to 20 kB.
MAX_ANSWER_BYTES: Final = 256 * 1024
# Requests to one provider at once; more wait, and then fail.
MAX_CONNECTIONS: Final = 16
# Compressed answers could unpack to anything.
HEADERS: Final = {"accept": "application/json", "accept-encoding": "identity"}


class ProviderGone(Exception):
    """The provider did not answer, or not as a provider does; says why, for the log. Try again later."""


class ProviderRequests:
    """Asks one provider. Owns its connections: a slow provider holds up no other."""

    def __init__(self, timeout_s: float, tls: SSLContext) -> None:
        """Wire it.

        Args:
            timeout_s: seconds for an answer, from the connection to its last byte.
            tls: how certificates are verified.
        """
        self._timeout_s = timeout_s
        self._client = httpx.AsyncClient(
            verify=tls,
            timeout=timeout_s,
            follow_redirects=False,
            limits=httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=2),
        )

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The JSON object at a URL.

        Raises:
            ProviderGone: there is none.
        """
        status, found = await self._send(self._client.build_request("GET", url, headers={**HEADERS, **(headers or {})}))
        if status != httpx.codes.OK or found is None:
            raise ProviderGone(f"{url} answered {status}{'' if found is not None else ', not with a JSON object'}")
        return found

    async def post(self, url: str, body: str, headers: Mapping[str, str]) -> tuple[int, dict[str, Any] | None]:
        """Send a form; returns the status, and the JSON object if the answer is one.

        Raises:
            ProviderGone: there was no answer, or one of 500 and above.
        """
        form = {"content-type": "application/x-www-form-urlencoded"}
        request = self._client.build_request("POST", url, content=body, headers={**HEADERS, **form, **headers})
        status, found = await self._send(request)
        if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            raise ProviderGone(f"{url} answered {status}")
        return status, found

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _send(self, request: httpx.Request) -> tuple[int, dict[str, Any] | None]:
        try:
            # httpx counts each read by itself: a provider could send a byte at a time.
            async with asyncio.timeout(self._timeout_s):
                response = await self._client.send(request, stream=True)
                try:
                    body = await _body(response)
                finally:
                    await response.aclose()
        except TimeoutError as e:
            raise ProviderGone(f"{request.url.copy_with(query=None)} took more than {self._timeout_s:g} s") from e
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as e:
            raise ProviderGone(f"{request.url.copy_with(query=None)}: {type(e).__name__}") from e
        try:
            found = orjson.loads(body)
        except orjson.JSONDecodeError:
            found = None
        return response.status_code, found if isinstance(found, dict) else None


async def _body(response: httpx.Response) -> bytes:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise ProviderGone("the answer is compressed although that was not asked for")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise ProviderGone(f"the answer has more than {MAX_ANSWER_BYTES} bytes")
    return bytes(body)

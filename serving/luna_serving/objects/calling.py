"""One S3 client per process, made at its first call, and what its errors mean."""

import asyncio
import http.client
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

from luna_serving.objects.access import ObjectAccess
from luna_serving.objects.errors import ObjectExists, ObjectMissing, StoreGone, StoreRefused
from luna_serving.objects.metrics import ObjectMetrics
from luna_serving.settings.objects import ObjectsSettings

MISSING = frozenset({"404", "NoSuchKey", "NotFound", "NoSuchUpload"})
TAKEN = frozenset({"412", "PreconditionFailed", "409", "ConditionalRequestConflict"})
BUSY = frozenset({"429", "SlowDown", "RequestTimeout", "TooManyRequests"})
SERVER_ERROR = 500
REFUSED = (
    "The object store refused the call ({}). Check S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY, S3_REGION and what the key "
    "may do."
)
# What the store does on its own before it answers.
SLOW = frozenset({"copy", "complete"})
# Bytes per second that a connection to the store makes at least.
SLOWEST = 1_000_000


class S3:
    """Sends calls to the store; each raises an error of `luna_serving.objects.errors`."""

    def __init__(self, access: ObjectAccess, settings: ObjectsSettings, metrics: ObjectMetrics) -> None:
        self._access = access
        self._settings = settings
        self._metrics = metrics
        self._stack = AsyncExitStack()
        self._made: Any = None
        self._making = asyncio.Lock()

    @asynccontextmanager
    async def call(self, operation: str, *, size: int = 0) -> AsyncIterator[Any]:
        """Give the client for one call, timed, bounded and counted as `operation`.

        Args:
            operation: the label of the metrics; `copy` and `complete` may take `copy_timeout_s`.
            size: bytes that the call sends.

        Raises:
            ObjectMissing: the object or upload is not there.
            ObjectExists: the key is taken.
            StoreGone: no connection, no answer in time, or the store is overloaded.
            StoreRefused: the store does not accept the call.
        """
        client = self._made or await self._client()
        with self._timed(operation), self._meanings(operation):
            async with asyncio.timeout(self._seconds(operation, size)):
                yield client

    async def ping(self, url: str) -> None:
        """Ask for the bucket by a presigned URL: health checks make no client, which takes 1 s and 50 MB.

        Raises:
            StoreGone: no connection, no answer in time, or the store is overloaded.
            StoreRefused: the store does not accept the call.
        """
        with self._timed("ping"), self._meanings("ping"):
            try:
                status = await asyncio.to_thread(head_status, url, self._settings.connect_timeout_s)
            except (OSError, http.client.HTTPException) as error:
                raise self._gone(type(error).__name__) from error
            if status >= SERVER_ERROR or status == http.HTTPStatus.TOO_MANY_REQUESTS:
                raise self._gone(f"HTTP {status}")
            if status == http.HTTPStatus.NOT_FOUND:
                raise self._no_bucket()
            if status != http.HTTPStatus.OK:
                raise StoreRefused(REFUSED.format(f"HTTP {status}"))

    async def chunks(self, body: Any, size: int) -> AsyncIterator[bytes]:  # noqa: ANN401  aiobotocore's
        """The body of an answer in pieces of at most `size` bytes.

        Raises:
            StoreGone: the store was silent for too long, or the connection broke.
        """
        while True:
            with self._meanings("get"):
                async with asyncio.timeout(self._settings.answer_timeout_s):
                    chunk = await body.read(size)
            if not chunk:
                return
            yield chunk

    @contextmanager
    def _timed(self, operation: str) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            self._metrics.seconds.labels(operation).observe(time.perf_counter() - begun)

    @contextmanager
    def _meanings(self, operation: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            meant = self._meant(error)
            if isinstance(meant or error, (StoreGone, StoreRefused)):
                self._metrics.failures.labels(operation).inc()
            if meant is None:
                raise
            raise meant from error

    def _seconds(self, operation: str, size: int) -> float:
        if operation in SLOW:
            return self._settings.copy_timeout_s
        return self._settings.answer_timeout_s + size / SLOWEST

    async def close(self) -> None:
        """Close the connections."""
        async with self._making:
            self._made = None
            await self._stack.aclose()

    async def _client(self) -> Any:  # noqa: ANN401  aiobotocore makes the class at run time
        async with self._making:
            if self._made is None:
                # A second of imports and of reading the description of S3: not on the event loop.
                session, config = await asyncio.to_thread(_session, self._settings)
                access = self._access
                self._made = await self._stack.enter_async_context(
                    session.create_client(
                        "s3",
                        endpoint_url=access.endpoint,
                        region_name=access.s3_region,
                        aws_access_key_id=access.credentials.access_key,
                        aws_secret_access_key=access.credentials.secret_key,
                        config=config,
                    )
                )
            return self._made

    def _meant(self, error: Exception) -> Exception | None:
        if isinstance(error, (ObjectMissing, ObjectExists, StoreGone, StoreRefused)):
            return None
        import aiohttp
        from botocore.exceptions import BotoCoreError, ClientError

        if isinstance(error, ClientError):
            return self._answered(error)
        if isinstance(error, (BotoCoreError, aiohttp.ClientError, TimeoutError, OSError)):
            return self._gone(type(error).__name__)
        return None

    def _gone(self, why: str) -> StoreGone:
        return StoreGone(f"The object store at {self._access.endpoint} is out of reach: {why}.")

    def _no_bucket(self) -> StoreRefused:
        return StoreRefused(
            f"The bucket {self._access.s3_bucket!r} does not exist: create it, or set S3_BUCKET to one that does."
        )

    def _answered(self, error: Any) -> Exception:  # noqa: ANN401  a ClientError, whose class is imported late
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code == "NoSuchBucket":
            return self._no_bucket()
        if code in MISSING:
            return ObjectMissing(str(error))
        if code in TAKEN:
            return ObjectExists(str(error))
        if status >= SERVER_ERROR or code in BUSY:
            return self._gone(f"HTTP {status} {code}")
        return StoreRefused(REFUSED.format(f"HTTP {status} {code}"))


def head_status(url: str, timeout_s: float) -> int:
    """The status of a HEAD request, by a connection of its own."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=timeout_s)
    try:
        connection.request("HEAD", f"{parts.path}?{parts.query}")
        return connection.getresponse().status
    finally:
        connection.close()


def _session(settings: ObjectsSettings) -> tuple[Any, Any]:
    # Imported here: a process that stores no objects does not pay for it (1 s, 50 MB).
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    config = AioConfig(
        connect_timeout=settings.connect_timeout_s,
        # The longest of all; `call` bounds each.
        read_timeout=settings.copy_timeout_s,
        max_pool_connections=settings.connections,
        retries={"mode": "standard", "total_max_attempts": settings.attempts},
        # The newest default (crc32 trailers) is refused by stores that do not know it.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": settings.addressing, "payload_signing_enabled": False},
        user_agent_extra="luna",
    )
    session = get_session()
    # Only the credentials of this process's S3_ variables: no files of ~/.aws, no metadata service.
    session.set_config_variable("config_file", "/dev/null")
    session.set_config_variable("credentials_file", "/dev/null")
    # Read now, in this thread: the first client would read it on the event loop.
    session.get_component("data_loader").load_service_model("s3", "service-2")
    return session, config

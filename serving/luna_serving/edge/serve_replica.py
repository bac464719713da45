"""Passes HTTP requests to the application of a Serve replica without Serve's wrapper, and counts them for Serve.

Of the time of an ingress replica more than a third went into `Replica._direct_ingress_asgi` and what it calls: it makes
a record, four context managers and three closures per request, and looks for a route that the edge finds by itself
(docs/decisions/0062). What other parts of Serve rely on is kept here, by the same objects:

- the semaphore and the number of ongoing requests, which draining, back-pressure and the autoscaler read;
- Serve's metrics of requests, while somebody collects them.

Everything else goes through the wrapper: health checks (`/-/healthz`, which a draining replica fails), WebSockets, and
every request of a replica that has no free slot, which Serve queues or refuses.

These are internals of Serve. `VERSIONS` names the releases in which they were read; with any other, and where Serve is
configured to do what the wrapper alone does, all requests go through the wrapper.
"""

import logging
import os
import time
from collections.abc import Mapping
from typing import Any, Final

import ray

from luna_serving.edge.bodies import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("luna.requests")

# `tests/edge/test_serve_replica.py` compares the source of what is replaced with what was read.
VERSIONS: Final = frozenset({"2.60.0"})
SERVES_OWN: Final = "/-/"
_WRAPPER: Final = "_direct_ingress_asgi"
# The application of Serve's own proxy, which runs beside HAProxy as its fallback and has no replica.
_PROXIES: Final = "ray.serve._private.proxy"


class Unexpected(Exception):
    """Serve is not as this module expects it; says why."""


class ServeReplica:
    """The Serve replica of this process, as the middleware in front of it sees it."""

    def __init__(self, wrapped: ASGIApp, environment: Mapping[str, str] = os.environ) -> None:
        """Find the replica behind Serve's application.

        Args:
            wrapped: what Serve gives to its middleware: the wrapper, in a `RequestIdMiddleware`.
            environment: of this process.

        Raises:
            Unexpected: another version of Ray, or a configuration that the wrapper alone serves.
        """
        if ray.__version__ not in VERSIONS:
            raise Unexpected(f"Ray is {ray.__version__}, and its wrapper was read in {', '.join(sorted(VERSIONS))}")
        try:
            # Here, so that a Ray without them is found out like any other.
            from ray.serve._private.common import RequestMetadata, RequestProtocol
            from ray.serve._private.tracing_utils import is_tracing_enabled
            from ray.serve.context import _RequestContext, _serve_request_context

            replica = _replica(wrapped)
            self._app: ASGIApp = replica._user_callable_asgi_app  # noqa: SLF001  here and below: see the module
            self._semaphore = replica._semaphore  # noqa: SLF001
            self._counts = replica._metrics_manager  # noqa: SLF001
            self._accepts = replica._can_accept_request  # noqa: SLF001
            self._id = replica._deployment_id  # noqa: SLF001
            self._route: str = replica._route_prefix  # noqa: SLF001
            options = replica._http_options  # noqa: SLF001
            apart = replica._user_callable_wrapper._run_user_code_in_separate_thread  # noqa: SLF001
            refused = (
                (self._app is None, "the deployment is no ASGI application"),
                (self._route != "/", f"the route prefix is {self._route!r}"),
                (options.root_path, f"the root path is {options.root_path!r}"),
                (options.request_timeout_s is not None, "Serve has a request timeout of its own"),
                (apart, "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD is on"),
                (is_tracing_enabled(), "Serve's own tracing is on"),
            )
            self._protocol = RequestProtocol.HTTP
            # One for all requests: Serve reads the protocol, and that they came without its proxy.
            self._metadata = RequestMetadata(
                request_id="",
                internal_request_id="",
                route=self._route,
                app_name=self._id.app_name,
                _request_protocol=self._protocol,
                is_direct_ingress=True,
            )
            # Handle calls take their labels from it; each has an id of its own, because a batch is of many requests.
            self._context: Any = _RequestContext(route=self._route, app_name=self._id.app_name)
            self._set_context = _serve_request_context.set
        except (AttributeError, ImportError, TypeError) as e:
            raise Unexpected(f"Serve's replica is not as it was read: {e}") from e
        for wrong, why in refused:
            if wrong:
                raise Unexpected(why)
        # Serve would sample them ten times per second for nobody.
        self._recorded = environment.get("RAY_enable_metrics_collection", "1") != "0"

    @property
    def has_slot(self) -> bool:
        """Whether a request starts at once; otherwise Serve's wrapper queues or refuses it."""
        return not self._semaphore.locked() and self._accepts(self._metadata)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve an HTTP request of the application, counted as ongoing until it is answered; needs `has_slot`."""
        self._set_context(self._context)
        await self._semaphore.acquire()
        self._counts.inc_num_ongoing_requests(self._metadata)
        try:
            if self._recorded:
                await self._timed(scope, receive, send)
            else:
                await self._app(scope, receive, send)
        finally:
            self._counts.dec_num_ongoing_requests(self._metadata)
            self._semaphore.release()

    async def _timed(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, status, error = time.time(), "", None

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except BaseException as e:
            error = type(e).__name__
            raise
        finally:
            self._record(scope["method"], (time.time() - started) * 1000, status, error)

    def _record(self, method: str, milliseconds: float, status: str, error: str | None) -> None:
        self._counts.record_request_metrics(
            route=self._route, latency_ms=milliseconds, is_error=error is not None, exception_type=error
        )
        if status:
            self._counts.record_ingress_request_metrics(
                protocol=self._protocol,
                method=method,
                route=self._route,
                app_name=self._id.app_name,
                deployment_name=self._id.name,
                latency_ms=milliseconds,
                is_error=status.startswith(("4", "5")),
                status_code=status,
            )


def replica_behind(wrapped: ASGIApp) -> ServeReplica | None:
    """The replica behind Serve's application; None where requests go through Serve, which is logged."""
    served = getattr(wrapped, "_app", None)
    if type(served).__module__ == _PROXIES:
        return None
    try:
        return ServeReplica(wrapped)
    except Unexpected as e:
        log.warning("requests go through Ray Serve's wrapper, which takes longer: %s", e)
        return None


def _replica(wrapped: ASGIApp) -> Any:  # noqa: ANN401  Serve's private class
    method = wrapped._app  # type: ignore[attr-defined]  # noqa: SLF001
    if method.__name__ != _WRAPPER:
        raise Unexpected(f"Serve answers requests in {method.__name__}")
    return method.__self__

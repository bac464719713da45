"""What is recorded of a request: metrics, a log line, the context of all other lines, a span."""

import logging
import re
import time
from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Mount, Route

from luna_serving.edge.bodies import Scope
from luna_serving.edge.paths import PREFIX
from luna_serving.telemetry.metrics import RequestMetrics
from luna_store.platform.logs import CONTEXT

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from luna_store.platform.traces import Traces

log = logging.getLogger("luna.requests")

UNKNOWN: Final = "unknown"
"""The label of all paths at which nothing is served."""
_OF_ACCOUNT: Final = re.compile(re.escape(PREFIX) + r"(?:/\{account_id:account\})?(?:/(.+))?")
_CONVERTOR: Final = re.compile(r":\w+\}")
_ITSELF: Final = "account"


class RequestRecord:
    """One request under way."""

    # Not a dataclass: every request makes one, and this costs a third.
    __slots__ = ("context", "headers", "span", "started", "traceparent")

    def __init__(self, headers: dict[bytes, bytes], context: dict[str, Any], started: float) -> None:
        self.headers = headers
        self.context = context
        """Members of all log lines of the request."""
        self.started = started
        """By `time.perf_counter`."""
        self.span: Span | None = None
        self.traceparent = ""
        """Names the span to other processes; empty where nothing is traced."""

    @property
    def request_id(self) -> str:
        """The id that the answer carries as X-Request-ID."""
        return str(self.context["request_id"])


class Recorder:
    """Records the requests of an ingress replica."""

    def __init__(self, metrics: RequestMetrics, traces: "Traces | None" = None, *, log_requests: bool = False) -> None:
        """Wire it.

        Args:
            metrics: of the replica.
            traces: where spans go; None makes none.
            log_requests: a line for every request; those of 500 and above are logged in any case.
        """
        self.metrics = metrics
        self._traces = traces
        self._log_requests = log_requests

    def begin(self, scope: Scope) -> RequestRecord:
        """Begin a request; what its task logs from now on carries its id."""
        headers = dict(scope["headers"])
        # As `begin_context`, without its two calls: every request passes here.
        context: dict[str, Any] = {"request_id": headers.get(b"x-request-id", b"-").decode("latin-1")}
        CONTEXT.set(context)
        record = RequestRecord(headers, context, time.perf_counter())
        if self._traces is not None:
            self._begin_span(self._traces, scope, record)
        return record

    def end(self, record: RequestRecord, scope: Scope, route: str, status: int) -> None:
        """Record a request that is over.

        Args:
            record: from `begin`.
            scope: of the request.
            route: its label, a template.
            status: of the answer; 499 where the caller hung up before it.
        """
        seconds = time.perf_counter() - record.started
        self.metrics.answered(scope["method"], route, status, seconds)
        if self._log_requests or status >= 500:
            facts = {
                "method": scope["method"],
                "path": scope["path"],
                "route": route,
                "status": status,
                "milliseconds": round(seconds * 1e3, 1),
            }
            severity = logging.ERROR if status >= 500 else logging.INFO
            log.log(severity, "%s %s: %d", scope["method"], route, status, extra={"facts": facts})
        if record.span is not None:
            self._end_span(record.span, record, scope, route, status)

    @staticmethod
    def _begin_span(traces: "Traces", scope: Scope, record: RequestRecord) -> None:
        caller = record.headers.get(b"traceparent")
        record.span = traces.server(scope["method"], caller.decode("latin-1") if caller else None)
        record.traceparent = traces.name_of(record.span)
        if record.traceparent:
            record.context["trace_id"] = record.traceparent.split("-")[1]

    @staticmethod
    def _end_span(span: "Span", record: RequestRecord, scope: Scope, route: str, status: int) -> None:
        span.update_name(f"{scope['method']} {route}")
        span.set_attribute("http.request.method", scope["method"])
        span.set_attribute("http.route", route)
        span.set_attribute("http.response.status_code", status)
        span.set_attribute("luna.request_id", record.request_id)
        if "account_id" in record.context:
            span.set_attribute("luna.account_id", record.context["account_id"])
        if status >= 500:
            span.set_attribute("error.type", str(status))
        span.end()


def begin_context(headers: dict[bytes, bytes]) -> dict[str, Any]:
    """Have the lines that the present task logs from now on carry the request's id; add members as they are known."""
    context: dict[str, Any] = {"request_id": request_id(headers)}
    # Not reset: every request has a task, and so a context, of its own.
    CONTEXT.set(context)
    return context


def request_id(headers: dict[bytes, bytes]) -> str:
    """The id that the answer carries as X-Request-ID."""
    return headers.get(b"x-request-id", b"-").decode("latin-1")


def note_account(account_id: int) -> None:
    """Show the account of the request under way in its log lines and its span."""
    context = CONTEXT.get()
    if context is not None:
        context["account_id"] = account_id


def route_label(scope: Scope) -> str:
    """The label of a request that FastAPI has routed.

    The template below the account's path, such as `models/{name}`; of other routes the whole path, such as
    `/health/ready`.
    """
    route = scope.get("route")
    if not isinstance(route, Route | Mount):
        return UNKNOWN
    of_account = _OF_ACCOUNT.fullmatch(route.path)
    below = (of_account[1] or _ITSELF) if of_account else route.path
    return _CONVERTOR.sub("}", below)

"""What is recorded of a request: metrics, a row of the request log, a log line, the context of other lines, a span."""

import logging
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from starlette.routing import Mount, Route

from luna_serving.access.credentials import Credential
from luna_serving.access.request_log.rows import Fact
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
# Where routes behind the edge find the record of their request.
_RECORD: Final = "luna.record"

Address = Callable[[Scope, dict[bytes, bytes]], str]
"""The client's address, from the scope and the headers of a request; empty where there is none."""


def peer(scope: Scope, headers: dict[bytes, bytes]) -> str:
    """The address of the connection's other end."""
    del headers
    client = scope.get("client")
    return client[0] if client else ""


class RequestRecord:
    """One request under way."""

    # Not a dataclass: every request makes one, and this costs a third.
    __slots__ = ("context", "credential", "headers", "span", "started", "traceparent")

    def __init__(self, headers: dict[bytes, bytes], context: dict[str, Any], started: float) -> None:
        self.headers = headers
        self.context = context
        """Members of all log lines of the request."""
        self.started = started
        """By `time.perf_counter`."""
        self.credential: Credential | None = None
        """What the caller presented, recognised or not."""
        self.span: Span | None = None
        self.traceparent = ""
        """Names the span to other processes; empty where nothing is traced."""

    @property
    def request_id(self) -> str:
        """The id that the answer carries as X-Request-ID."""
        return str(self.context["request_id"])


class Recorder:
    """Records the requests of an ingress replica."""

    def __init__(
        self,
        metrics: RequestMetrics,
        traces: "Traces | None" = None,
        *,
        log_requests: bool = False,
        rows: Callable[[Fact], None] | None = None,
        address: Address = peer,
    ) -> None:
        """Wire it.

        Args:
            metrics: of the replica.
            traces: where spans go; None makes none.
            log_requests: a line for every request; those of 500 and above are logged in any case.
            rows: takes a row of the request log; None keeps none.
            address: the client's address.
        """
        self.metrics = metrics
        self._rows = rows
        self._address = address
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

    def end(self, record: RequestRecord, scope: Scope, route: str, status: int, size: int) -> None:
        """Record a request that is over.

        Args:
            record: from `begin`.
            scope: of the request.
            route: its label, a template.
            status: of the answer; 499 where the caller hung up before it.
            size: bytes of the answer's body.
        """
        ended = time.perf_counter()
        seconds = ended - record.started
        self.metrics.answered(scope["method"], route, status, seconds)
        if self._rows is not None:
            address = self._address(scope, record.headers)
            request_id = record.context["request_id"]
            self._rows((ended, seconds, record.credential, scope["method"], route, status, size, request_id, address))
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

    def socket_ended(self, record: RequestRecord, scope: Scope, route: str, status: int, size: int) -> None:
        """Keep a row of a WebSocket that is over, or of an upgrade that was refused; arguments as of `end`."""
        if self._rows is not None:
            ended = time.perf_counter()
            address = self._address(scope, record.headers)
            request_id = record.context["request_id"]
            seconds = ended - record.started
            self._rows((ended, seconds, record.credential, "GET", route, status, size, request_id, address))

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


def pass_on(record: RequestRecord, scope: Scope) -> None:
    """Let the routes behind the edge find the record of a request."""
    scope[_RECORD] = record


def note_credential(scope: Scope, credential: Credential) -> None:
    """Record what the caller of the request presented. A scope that no edge has passed on is left alone."""
    if _RECORD in scope:
        scope[_RECORD].credential = credential


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

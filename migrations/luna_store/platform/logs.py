"""Log lines: JSON for collectors or text for people, with their request and account.

Every process of Luna calls `configure` once. Modules log through `logging.getLogger("luna.<part>")`; keyword facts go
through `extra={"facts": {...}}` and become members of the JSON object.
"""

import io
import logging
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Final, Literal, TextIO

import structlog

ROOT: Final = "luna"

Format = Literal["json", "text"]
Event = MutableMapping[str, Any]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

# Members of every line that is logged in this context. One variable with a small mapping: setting it costs 0.1 µs,
# which every request can afford.
CONTEXT: ContextVar[dict[str, Any] | None] = ContextVar("luna_log_context", default=None)


def configure(form: Format = "json", level: str = "INFO", stream: TextIO | None = None, root: str = ROOT) -> None:
    """Send the lines of a logger and of all below it to a stream; replaces its earlier configuration.

    Args:
        form: one JSON object per line, or text.
        level: the least severe level that is logged.
        stream: standard error by default.
        root: the logger; the empty name includes all libraries.
    """
    rendered: list[Any] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(sort_keys=False)]
        if form == "json"
        else [_in_one_line, structlog.dev.ConsoleRenderer(colors=False, exception_formatter=_indented_traceback)]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            _facts,
            structlog.processors.EventRenamer("message"),
        ],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
    )
    if form == "text":
        formatter.foreign_pre_chain = (formatter.foreign_pre_chain or [])[:-1]  # the console wants the event's own name
    # Not sys.stderr: in a replica, Ray Serve has put its own logger there, which drops or rewraps lines.
    handler = logging.StreamHandler(stream or sys.__stderr__)
    handler.setFormatter(formatter)
    logger = logging.getLogger(root)
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


def _facts(logger: object, method: str, event: Event) -> Event:
    del logger, method
    record: logging.LogRecord = event["_record"]
    return {**event, **(CONTEXT.get() or {}), **getattr(record, "facts", {})}


def _in_one_line(logger: object, method: str, event: Event) -> Event:
    del logger, method
    return {name: escaped(value) if isinstance(value, str) else value for name, value in event.items()}


def _indented_traceback(out: TextIO, raised: ExcInfo) -> None:
    """Write a traceback, indented: what a caller sent may stand in it, and begins no line that looks like an entry."""
    written = io.StringIO()
    # One with local variables would print secrets.
    structlog.dev.plain_traceback(written, raised)
    out.writelines(f"\n    {escaped(line)}" for line in written.getvalue().strip("\n").split("\n"))


def escaped(text: str) -> str:
    """The text without characters that end a line or control a terminal; these as a literal of Python writes them."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)

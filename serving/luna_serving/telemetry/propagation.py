"""How a trace goes on from an ingress replica to a compute replica."""

from contextvars import ContextVar
from typing import Final

TRACEPARENT: Final[ContextVar[str]] = ContextVar("luna_traceparent", default="")
"""The span that the present task works for, as the header `traceparent`; empty where nothing is traced."""

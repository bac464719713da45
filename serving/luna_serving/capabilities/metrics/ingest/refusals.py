"""Refusals of whole requests."""

from luna_serving.wire.problems import Problem


def malformed(detail: str) -> Problem:
    """400: the body is not what its protocol says. Senders of Prometheus and OpenTelemetry do not send it again."""
    return Problem("malformed", 400, "The body is malformed.", detail)

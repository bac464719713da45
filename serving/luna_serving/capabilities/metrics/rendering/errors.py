"""Errors: `{"status": "error", "errorType": .., "error": ..}` with Prometheus' types and statuses."""

from enum import StrEnum
from typing import Final

import orjson

from luna_serving.engines.promql.api import EvaluationError, LimitExceeded, ParseError, PromqlError
from luna_serving.wire.problems import Problem


class ErrorType(StrEnum):
    """What went wrong, as Prometheus names it."""

    BAD_DATA = "bad_data"
    EXECUTION = "execution"
    TIMEOUT = "timeout"
    CANCELED = "canceled"
    NOT_FOUND = "not_found"
    NOT_ACCEPTABLE = "not_acceptable"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


STATUSES: Final = {
    ErrorType.BAD_DATA: 400,
    ErrorType.EXECUTION: 422,
    ErrorType.TIMEOUT: 503,
    ErrorType.CANCELED: 499,
    ErrorType.NOT_FOUND: 404,
    ErrorType.NOT_ACCEPTABLE: 406,
    ErrorType.UNAVAILABLE: 503,
    ErrorType.INTERNAL: 500,
}
# Of Luna's problems. Their own status is kept: senders and dashboards act on 401, 403 and 429.
_OF_STATUS: Final = {
    404: ErrorType.NOT_FOUND,
    406: ErrorType.NOT_ACCEPTABLE,
    408: ErrorType.TIMEOUT,
    503: ErrorType.UNAVAILABLE,
}
# What bounds the text of a query and not its evaluation, and the resolution, which Prometheus checks before.
_OF_THE_REQUEST: Final = frozenset({"length", "depth", "points"})
_SERVER_ERROR: Final = 500


class PrometheusError(Exception):
    """An answer that is an error."""

    def __init__(self, type_: ErrorType, message: str) -> None:
        super().__init__(message)
        self.type = type_
        self.message = message

    @property
    def status(self) -> int:
        """The status of the answer."""
        return STATUSES[self.type]

    def body(self) -> bytes:
        """The answer."""
        return _body(self.type, self.message)


def of_query(error: PromqlError) -> PrometheusError:
    """The error of a query that cannot be parsed or evaluated."""
    match error:
        case ParseError():
            return PrometheusError(ErrorType.BAD_DATA, f'invalid parameter "query": {error}')
        case LimitExceeded(limit=limit) if limit in _OF_THE_REQUEST:
            return PrometheusError(ErrorType.BAD_DATA, str(error))
        case LimitExceeded() | EvaluationError():
            return PrometheusError(ErrorType.EXECUTION, str(error))
        case _:
            return PrometheusError(ErrorType.INTERNAL, str(error))


def of_problem(problem: Problem) -> bytes:
    """The body for a problem, to be sent with the problem's own status and headers."""
    if problem.status in _OF_STATUS:
        type_ = _OF_STATUS[problem.status]
    else:
        type_ = ErrorType.BAD_DATA if problem.status < _SERVER_ERROR else ErrorType.INTERNAL
    return _body(type_, problem.detail)


def _body(type_: ErrorType, message: str) -> bytes:
    return orjson.dumps({"status": "error", "errorType": type_, "error": message})

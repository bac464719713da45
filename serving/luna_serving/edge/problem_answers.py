"""Problems as answers of the edge."""

from luna_serving.access.ratelimit_headers import ratelimit_headers
from luna_serving.wire import problems
from luna_serving.wire.problems import Problem
from luna_store.quota.debits import Standing


def problem_response(
    problem: Problem, standing: Standing | None = None
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """A problem as status, headers and body, with the RateLimit headers if the caller's standing is known."""
    headers = [(b"content-type", problems.CONTENT_TYPE)]
    headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in problem.headers.items()]
    if standing is not None:
        headers += ratelimit_headers(standing)
    return problem.status, headers, problem.body()

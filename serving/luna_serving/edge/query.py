"""Query parameters that a route does not declare."""

from fastapi import Request
from fastapi.routing import APIRoute

from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError

# A name of the caller's that an error repeats, in characters.
MAX_ECHO = 64
MAX_ERRORS = 10


def refuse_unknown_parameters(request: Request) -> None:
    """Refuse a query parameter that is none of the endpoint's own: a misspelt one would be ignored otherwise.

    Raises:
        Problem: 422, names each parameter and those that the route takes.
    """
    if not request.query_params:
        return
    route = request.scope["route"]
    assert isinstance(route, APIRoute)  # noqa: S101  dependencies run on FastAPI's own routes
    known = [parameter.alias for parameter in route.dependant.query_params]
    cure = f"Use {', '.join(known)}." if known else "This route takes none; leave it out."
    unknown = [name[:MAX_ECHO] for name in request.query_params if name not in known]
    if unknown:
        cause = f"Is no query parameter of this route. {cure}"
        raise problems.invalid(*(FieldError(f"/query/{_escaped(name)}", cause) for name in unknown[:MAX_ERRORS]))


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")

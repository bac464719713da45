"""Calls that got no answer are sent to another replica, where that is right (docs/decisions/0067).

An ingress replica that dies, or closes a connection as a call arrives on it, answers nothing. HAProxy then sends the
call again: it keeps a copy of the request until the answer begins. It does so for the routes of `ROUTES` alone, which
keep no state, and whose charge has an id that is the same in each attempt (X-Luna-Call, `edge.proxy_peer`). For all
others it sends again what could not be sent at all, as before.

HAProxy sends the head before the body has come, and then has no copy: with these routes it waits for the body, until it
is whole or fills the buffer (64 kB, `haproxy_answers`). A larger request is sent once.

Imports no installed package: see `haproxy_on_loopback`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from luna_serving.edge import proxy_peer
from luna_serving.local.loopback.haproxy_deadlines import deadline_s

# Routes below /api/v1/{account_id}/ and /api/v1/: the `Operation`s and `Query`s of all capabilities.
ROUTES: Final = (
    "POST kalman",
    "POST kalman/filter",
    "POST kalman/smooth",
    "POST kalman/forecast",
    "POST kalman/simulate",
    "POST kalman/fit",
    "GET indicators/{name}",
)
# Routes of other kinds at a path that a template above has, too.
EXCEPT: Final = ("GET indicators/custom",)
# Routes of capabilities that are not Luna's own.
VARIABLE: Final = "LUNA_EDGE_RETRIED_ROUTES"
# Bytes of a body that surely fit into the buffer, beside its head.
LARGEST: Final = 61_440
# Attempts beyond the first.
RETRIES: Final = 3
# The user's own choice of failures, which stays.
CHOICE: Final = "RAY_SERVE_HAPROXY_RETRY_ON"
ROUTE: Final = re.compile(r"(GET|POST) ([A-Za-z0-9_-]+(?:/(?:[A-Za-z0-9_.-]+|\{[a-z_]+\}))*)")
# After it, for the refusals count the caller's headers.
_PEER: Final = re.compile(rf"^ +http-request set-header {proxy_peer.HEADER.decode()} .*\n", re.MULTILINE)
_RETRY_ON: Final = re.compile(r"^( *)retry-on conn-failure\n(?: *retries \d+\n)?", re.MULTILINE)
_MARK: Final = "luna_retried"


def with_retries(configuration: str, environment: Mapping[str, str]) -> str:
    """The configuration in which calls that got no answer are sent again; unchanged if somebody has chosen otherwise.

    Args:
        configuration: Serve's, with the rules of `haproxy_answers`.
        environment: of the process.
    """
    if environment.get(CHOICE) or _MARK in configuration:
        return configuration
    rules = (
        f"    http-request set-header {proxy_peer.CALL_HEADER.decode()} %[uuid]\n"
        + "".join(
            f"    http-request set-var(txn.{_MARK}) bool(true) if {{ method {methods} }} {{ path -m reg {paths} }}\n"
            for methods, paths in conditions((*ROUTES, *added(environment)), EXCEPT)
        )
        + f"    http-request disable-l7-retry unless {{ var(txn.{_MARK}) -m bool }}\n"
        # Who asks whether to send the body (`Expect`), or declares a large one, is answered by the edge.
        f"    http-request wait-for-body time {deadline_s(environment)}s if {{ var(txn.{_MARK}) -m bool }}"
        f" !{{ req.hdr(expect) -m found }} !{{ req.hdr_val(content-length) gt {LARGEST} }}\n"
    )
    configuration = _RETRY_ON.sub(
        lambda found: f"{found[1]}retry-on conn-failure empty-response\n{found[1]}retries {RETRIES}\n", configuration
    )
    return _PEER.sub(lambda found: found[0] + rules, configuration)


def added(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The routes of LUNA_EDGE_RETRIED_ROUTES; the replicas refuse what is none."""
    listed = (each.strip() for each in environment.get(VARIABLE, "").split(","))
    return tuple(each for each in listed if ROUTE.fullmatch(each))


def conditions(routes: Iterable[str], excepted: Iterable[str]) -> Iterable[tuple[str, str]]:
    """For each method, the methods that HAProxy compares and the expression of the paths. GET implies HEAD."""
    for method, methods in (("POST", "POST"), ("GET", "GET HEAD")):
        paths = "|".join(_pattern(each, method) for each in routes if each.startswith(f"{method} "))
        others = "".join(f"(?!{_pattern(each, method)}$)" for each in excepted if each.startswith(f"{method} "))
        if paths:
            # In quotes, for the braces of HAProxy's configuration.
            yield methods, f"'^/api/v1/([0-9]{{1,10}}/)?{others}({paths})$'"


def _pattern(route: str, method: str) -> str:
    path = route.removeprefix(f"{method} ")
    # Without %: the edge decodes a path before it looks for its route.
    return "/".join("[^/%]+" if each.startswith("{") else re.escape(each) for each in path.split("/"))

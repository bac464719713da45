"""What a run of Schemathesis adds to it: own account ids, a check of problems, counts. `schemathesis_run` starts it.

Schemathesis imports this module by `SCHEMATHESIS_HOOKS`. The environment names the account (`LUNA_FUZZ_ACCOUNT`) and
the file for the counts (`LUNA_FUZZ_COUNTS`).
"""

import atexit
import json
import os
import random
import re
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis.core.failures import Failure

OWN = os.environ["LUNA_FUZZ_ACCOUNT"]
COUNTS = Path(os.environ["LUNA_FUZZ_COUNTS"])
# A tenth of the paths keeps what was generated: another account's id, none, no number; no name of a model.
KEPT = 0.1
NAMES = 7
PROBLEM = "application/problem+json"
# Errors that senders and Grafana show have the forms of Prometheus, OTLP and InfluxDB: their members, in JSON.
FORMS = {
    re.compile(r"/api/v1/(?:[^/]+/)?prometheus/api/v1/.*"): {"status", "errorType", "error"},
    re.compile(r"/api/v1/(?:[^/]+/)?otlp/v1/metrics"): {"message"},
    re.compile(r"/api/v1/(?:[^/]+/)?influx/write"): {"code", "message"},
}
PROTOCOLS = frozenset({"application/json", "application/x-protobuf"})

counts: Counter[str] = Counter()
lock = threading.Lock()


@schemathesis.hook
def map_path_parameters(context: schemathesis.HookContext, path_parameters: dict[str, Any]) -> dict[str, Any]:
    """Most calls go to the caller's own account and to a few names; the others are refused early."""
    for name in {"account_id", "name"} & set(path_parameters or ()):
        # Drawn by the value: Hypothesis replays an example and expects the same.
        drawn = random.Random(repr(path_parameters[name])).random()
        # An id out of range stays: the run expects that what the schema does not allow is refused.
        if drawn >= KEPT and not (name == "account_id" and out_of_range(path_parameters[name])):
            path_parameters[name] = OWN if name == "account_id" else f"model-{int(drawn * 100) % NAMES}"
    return path_parameters


def out_of_range(account_id: object) -> bool:
    """Whether the schema does not allow an account's id."""
    return not (str(account_id).isdecimal() and 1 <= int(str(account_id)) <= 2**31 - 1)


@schemathesis.hook
def after_call(context: schemathesis.HookContext, case: schemathesis.Case, response: schemathesis.Response) -> None:
    with lock:
        counts[f"{response.status_code}"] += 1
        counts[f"{case.operation.label} {response.status_code}"] += 1


@schemathesis.hook
def filter_failure(
    context: schemathesis.HookContext,
    failure: Failure,
    case: schemathesis.Case,
    response: schemathesis.Response,
) -> bool:
    """An address that has sent too many unknown keys is answered 429 instead of 401, which `ignored_auth` expects."""
    # `response` is the one to the right credentials; the message names that to the wrong ones.
    return not (type(failure).__name__ == "IgnoredAuth" and "got `429 " in failure.message)


@schemathesis.serializer("application/x-protobuf")
def bytes_as_they_are(ctx: schemathesis.SerializationContext, value: object) -> bytes:
    """Bodies of protocols are bytes, which are generated as such or as text."""
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.check
def problem_details(ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case) -> None:
    """Every error is a problem (RFC 9457) with what its status demands; every answer names its request."""
    headers = {name.lower(): values[0] for name, values in response.headers.items()}
    assert re.fullmatch(r"[A-Za-z0-9._~:/+=@-]{1,128}", headers.get("x-request-id", "")), "X-Request-ID"
    if response.status_code < 400:
        return
    form = next((members for path, members in FORMS.items() if path.fullmatch(case.formatted_path)), None)
    of_protocol = form is not None and headers["content-type"] in PROTOCOLS
    assert of_protocol or headers["content-type"] == PROBLEM, headers["content-type"]
    if response.status_code == 401:
        assert "www-authenticate" in headers, "401 needs WWW-Authenticate"
    if response.status_code in {429, 503}:
        assert int(headers["retry-after"]) >= 0, "Retry-After"
    if response.status_code == 405:
        assert headers["allow"], "Allow"
    if case.method.upper() == "HEAD":
        return
    if of_protocol and headers["content-type"] != "application/json":
        return
    problem = json.loads(response.content)
    if form is not None and of_protocol:
        assert form <= problem.keys(), problem
        assert problem.get("error") or problem.get("message"), problem
        return
    assert problem["status"] == response.status_code
    assert re.fullmatch(r"https://luna\.dev/problems/[a-z-]+", problem["type"]), problem["type"]
    assert problem["title"], "title"
    assert problem["detail"], "detail"
    assert "Traceback" not in problem["detail"], problem["detail"]


@atexit.register
def _write() -> None:
    COUNTS.write_text(json.dumps(counts))

"""Bodies answered without a server: parsed, checked as a job is, computed."""

from typing import Any

import orjson
from prometheus_client import CollectorRegistry

from luna_serving.capabilities.markowitz.compute import compute
from luna_serving.capabilities.markowitz.metrics import MarkowitzMetrics
from luna_serving.capabilities.markowitz.settings import MarkowitzSettings
from luna_serving.capabilities.markowitz.wire.reading import document_of, problem_of
from luna_serving.capabilities.markowitz.wire.work import MarkowitzWork
from luna_serving.dispatch.outcomes import Refused
from luna_serving.wire.problems import Problem

SETTINGS = MarkowitzSettings()
COV = [[0.04, 0.006, 0.0], [0.006, 0.09, 0.012], [0.0, 0.012, 0.16]]
MEAN = [0.05, 0.08, 0.11]


def work(body: dict[str, Any] | bytes) -> MarkowitzWork:
    """The parsed body. Raises Problem."""
    sent = body if isinstance(body, bytes) else orjson.dumps(body)
    return MarkowitzWork(problem_of(document_of(sent, SETTINGS), SETTINGS), sent)


def answer(**body: Any) -> dict[str, Any]:
    """The answer to a body that is in order."""
    found = computed(**body)
    assert isinstance(found, bytes), found
    document: dict[str, Any] = orjson.loads(found)
    return document


def computed(**body: Any) -> object:
    """What a replica answers."""
    return compute(work(body).job, lambda: False, MarkowitzMetrics(CollectorRegistry()))


def refused(body: dict[str, Any] | bytes) -> dict[str, Any]:
    """The problem with a body. As a job it is refused before it is queued, and the replica refuses it alike."""
    try:
        parsed = work(body)
    except Problem as problem:
        return found(problem)
    try:
        parsed.as_job()
    except Problem as problem:
        document = found(problem)
    else:
        document = {}
    outcome = compute(parsed.job, lambda: False, MarkowitzMetrics(CollectorRegistry()))
    assert isinstance(outcome, Refused), outcome
    pointers = [outcome.pointer, *(pointer for pointer, _ in outcome.others)]
    if document:
        assert pointers == [error["pointer"] for error in document["errors"]]
        return document
    return {"errors": [{"pointer": pointer} for pointer in pointers], **outcome.facts}


def found(problem: Problem) -> dict[str, Any]:
    """The problem's body."""
    assert problem.status == 422
    document: dict[str, Any] = orjson.loads(problem.body())
    return document

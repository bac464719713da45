"""The OpenAPI operation of a door."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

from luna_serving.edge.idempotency import WHAT
from luna_serving.edge.openapi import REFERENCE, describe, problem_responses
from luna_serving.edge.prefer import APPLIED
from luna_serving.jobs.doors.calculation import AT_ONCE_S
from luna_serving.jobs.routes.answers import LOCATION
from luna_serving.jobs.routes.schemas import Cost, JobAnswer

IDEMPOTENCY_KEY: Final[Mapping[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": WHAT,
    "schema": {"type": "string"},
}
PREFER: Final[Mapping[str, Any]] = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": "`respond-async`: create the job in any case. `wait=10`: where it is a job, wait up to so many "
    "seconds for its result, which is then answered with 200.",
    "schema": {"type": "string"},
}
VALIDATE_ONLY: Final[Mapping[str, Any]] = {
    "name": "validate_only",
    "in": "query",
    "required": False,
    "description": "Check, and answer cost and plan; charge nothing.",
    "schema": {"type": "boolean", "default": False},
}


def described(
    summary: str,
    description: str,
    request: type[BaseModel],
    answer: type[BaseModel],
    *,
    parameters: Sequence[Mapping[str, Any]] = (),
    other_bodies: Sequence[str] = (),
) -> Mapping[str, Any]:
    """The operation object of a door.

    Args:
        summary: one line.
        description: what it computes and costs.
        request: the schema of the body.
        answer: the schema of the answer.
        parameters: more of them.
        other_bodies: media types of bodies and answers beside JSON, such as Arrow's.
    """
    at_once = describe(summary, f"{description} {_WHEN}", request, answer)
    binary = {name: {"schema": {"type": "string", "format": "binary"}} for name in other_bodies}
    schemas = dict(at_once["x-schemas"])
    for model in (JobAnswer, Cost):
        schema = model.model_json_schema(ref_template=REFERENCE, mode="serialization")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    answers = [{"$ref": REFERENCE.format(model=model.__name__)} for model in (answer, Cost)]
    body, responses = at_once["requestBody"], at_once["responses"]
    return {
        **at_once,
        "parameters": [*parameters, VALIDATE_ONLY, IDEMPOTENCY_KEY, PREFER],
        "requestBody": {**body, "content": body["content"] | binary},
        "responses": {
            "200": {
                "description": "Computed and charged; or, with `validate_only`, cost and plan.",
                "headers": APPLIED,
                "content": {"application/json": {"schema": {"anyOf": answers}}} | binary,
            },
            "202": {
                "description": "The job that computes it.",
                "headers": LOCATION | APPLIED,
                "content": {"application/json": {"schema": {"$ref": REFERENCE.format(model=JobAnswer.__name__)}}},
            },
            **{status: told for status, told in responses.items() if status != "200"},
            **problem_responses((406, 409)),
        },
        "x-schemas": schemas,
    }


_WHEN: Final = (
    f"Answers at once where the compute is estimated below {AT_ONCE_S:g} s; otherwise creates the job of the same name "
    "and parameters, and answers 202 with its `Location`."
)

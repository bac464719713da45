"""OpenAPI of the routes that the edge answers in front of FastAPI."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

if TYPE_CHECKING:
    from luna_serving.edge.asgi import Operation

REFERENCE = "#/components/schemas/{model}"
PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem details.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "What programs compare; never changes meaning."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
REFUSALS = {
    401: "Missing or unknown API key.",
    403: "The key belongs to another account; or the account is suspended, has expired, or may not use the model.",
    404: "No such account.",
    408: "The answer was not ready in time; not charged.",
    413: "The body is too large.",
    415: "The body is not JSON, or is compressed in a way that is not supported.",
    422: "The request is not valid; `errors` points to the fields.",
    429: "Rate or quota; see Retry-After.",
    503: "Overloaded, or dependencies gone; see Retry-After.",
}
# Answers of routes that change something: not of those that compute.
CONFLICTS = {
    409: "Storage limit reached.",
    412: "The stored version is not the one that If-Match or If-None-Match expects.",
}
SECURITY: list[dict[str, list[str]]] = [{"apiKey": []}, {"bearer": []}]
SECURITY_SCHEMES = {
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, or a token of /api/v1/auth/token."},
}


def problem_responses(statuses: Sequence[int] = tuple(REFUSALS)) -> dict[str, Any]:
    """The `responses` entries of errors."""
    content = {"application/problem+json": {"schema": {"$ref": REFERENCE.format(model="Problem")}}}
    return {str(status): {"description": (REFUSALS | CONFLICTS)[status], "content": content} for status in statuses}


def describe(summary: str, description: str, request: type[BaseModel], answer: type[BaseModel]) -> Mapping[str, Any]:
    """An operation object; its schemas travel under `x-schemas` until the document is put together."""
    schemas: dict[str, Any] = {}
    for model, mode in ((request, "validation"), (answer, "serialization")):
        schema = model.model_json_schema(ref_template=REFERENCE, mode=mode)  # type: ignore[arg-type]
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    return {
        "summary": summary,
        "description": description,
        "security": SECURITY,
        "requestBody": {"required": True, "content": _json(request)},
        "responses": {"200": {"description": "Computed and charged.", "content": _json(answer)}, **problem_responses()},
        "x-schemas": schemas,
    }


def _json(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": REFERENCE.format(model=model.__name__)}}}


def document(app: FastAPI, operations: Sequence["Operation"]) -> dict[str, Any]:
    """The whole application's OpenAPI document."""
    whole = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = whole.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    components["securitySchemes"] = SECURITY_SCHEMES
    schemas["Problem"] = PROBLEM
    for operation in operations:
        described = dict(operation.openapi)
        schemas |= described.pop("x-schemas", {})
        account = {"name": "account_id", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 1}}
        whole["paths"][f"/api/v1/{{account_id}}/{operation.path}"] = {
            "post": {"operationId": operation.path.replace("/", "_"), "parameters": [account], **described}
        }
    return whole

"""OpenAPI of the operations, which the edge answers in front of FastAPI."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from luna_serving.edge.operation import Hot
from luna_serving.edge.paths import PREFIX
from luna_store.accounts.tables import MAX_ACCOUNT_ID

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
    400: "The request cannot be read.",
    401: "Missing or unknown API key.",
    403: "The key belongs to another account; or the account is suspended, has expired, or may not use the model.",
    404: "No such account, or nothing of that name.",
    406: "None of the forms that Accept names is offered.",
    408: "The answer was not ready in time; not charged.",
    413: "The body is too large.",
    415: "The body is not JSON, or is compressed in a way that is not supported.",
    422: "The request is not valid; `errors` points to the fields.",
    429: "Rate, quota, or too many refused credentials of the caller's address; see Retry-After.",
    503: "Overloaded, or dependencies gone; see Retry-After.",
}
# Errors of a route that computes.
COMPUTED = (401, 403, 404, 408, 413, 415, 422, 429, 503)
# Errors of routes that change something, not of those that compute.
CONFLICTS = {
    409: "Storage limit reached, or the present state does not allow it.",
    410: "It is deleted.",
    412: "The stored version is not the one that If-Match or If-None-Match expects.",
}
SECURITY: list[dict[str, list[str]]] = [{"apiKey": []}, {"bearer": []}]
SECURITY_SCHEMES = {
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, or an access token of /api/v1/auth/token, /login or /refresh.",
    },
}


# The extension that names the role which a route needs; the routes themselves are checked by it.
LEAST = "x-luna-role"
# Beside it: API keys may call the route, whatever their role.
KEYS = "x-luna-keys"
# The grant that a route needs of the account, by capability and name.
GRANT = "x-luna-grant"


def problem_responses(statuses: Sequence[int] = COMPUTED) -> dict[str, Any]:
    """The `responses` entries of errors."""
    content = {"application/problem+json": {"schema": {"$ref": REFERENCE.format(model="Problem")}}}
    return {str(status): {"description": (REFUSALS | CONFLICTS)[status], "content": content} for status in statuses}


# The parameter of every route below an account's path.
ACCOUNT: dict[str, Any] = {
    "name": "account_id",
    "in": "path",
    "required": True,
    "description": "The credential's own account. The path without it means the same.",
    "schema": {"type": "integer", "minimum": 1, "maximum": MAX_ACCOUNT_ID},
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a FastAPI route, for these errors."""
    return {int(status): answer for status, answer in problem_responses(statuses).items()}


def json_request(schema: type[BaseModel]) -> dict[str, Any]:
    """The `openapi_extra` of a FastAPI route that reads a JSON body by itself.

    Schemas that it refers to are under `x-schemas` until the document is assembled.
    """
    document = schema.model_json_schema(ref_template=REFERENCE)
    parts = document.pop("$defs", {})
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": document}}},
        "x-schemas": parts,
    }


def describe(
    summary: str, description: str, request: type[BaseModel] | None, answer: type[BaseModel]
) -> Mapping[str, Any]:
    """An operation object; its schemas are under `x-schemas` until the document is assembled.

    Args:
        summary: one line.
        description: what it does and costs.
        request: the schema of the body; None for a route without one.
        answer: the schema of the body of a 200.
    """
    schemas: dict[str, Any] = {}
    for model, mode in ((request, "validation"), (answer, "serialization")):
        if model is None:
            continue
        schema = model.model_json_schema(ref_template=REFERENCE, mode=mode)  # type: ignore[arg-type]
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    body = {"requestBody": {"required": True, "content": _json(request)}} if request else {}
    return {
        "summary": summary,
        "description": description,
        "security": SECURITY,
        **body,
        "responses": {"200": {"description": "Computed and charged.", "content": _json(answer)}, **problem_responses()},
        "x-schemas": schemas,
    }


def with_media_types(
    described: Mapping[str, Any], names: Sequence[str], parameters: Sequence[Mapping[str, Any]] = ()
) -> Mapping[str, Any]:
    """An operation object whose body and answer may also be of other media types, by Content-Type and Accept.

    Args:
        described: from `describe`.
        names: the media types, of bytes.
        parameters: of the operation.
    """
    binary = {name: {"schema": {"type": "string", "format": "binary"}} for name in names}
    body, responses = described["requestBody"], described["responses"]
    computed = responses["200"]
    return {
        **described,
        "parameters": list(parameters),
        "requestBody": {**body, "content": body["content"] | binary},
        "responses": {
            "200": {**computed, "content": computed["content"] | binary},
            **{status: told for status, told in responses.items() if status != "200"},
            **problem_responses((406,)),
        },
    }


def _json(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": REFERENCE.format(model=model.__name__)}}}


def document(app: FastAPI, operations: Sequence[Hot]) -> dict[str, Any]:
    """The OpenAPI document of the application.

    Raises:
        ValueError: two schemas have one name.
    """
    whole = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    components = whole.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    components["securitySchemes"] = SECURITY_SCHEMES
    schemas["Problem"] = PROBLEM
    for operations_of_path in whole["paths"].values():
        for described in operations_of_path.values():
            _add(schemas, described.pop("x-schemas", {}))
    for operation in operations:
        described = {"tags": [operation.capability], **operation.openapi}
        _add(schemas, described.pop("x-schemas", {}))
        names = [] if operation.method == "POST" else [operation.method.lower()]
        name = "_".join([*names, *re.findall(r"\w+", operation.path)])
        parameters = _parameters(operation, described.pop("parameters", []))
        for path, id_, more in (
            (f"{PREFIX}/{{account_id}}/{operation.path}", name, [ACCOUNT]),
            (f"{PREFIX}/{operation.path}", f"{name}_own", []),
        ):
            of_path = whole["paths"].setdefault(path, {})
            of_path[operation.method.lower()] = {
                "operationId": id_,
                **described,
                "parameters": more + parameters,
                LEAST: operation.least.word,
            }
    return whole


def _add(schemas: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add schemas; those of bodies and of answers differ for one model, but its description is the same."""
    for name, schema in more.items():
        if schemas.get(name, schema).get("description") != schema.get("description"):
            raise ValueError(f"Two schemas of the OpenAPI document are named {name}: rename one of the models.")
        schemas[name] = schema


def _parameters(operation: Hot, described: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The parameters of path and query; one that the capability does not describe is a string."""
    named = {(each["in"], each["name"]) for each in described}
    asked = [("path", name, True) for name in re.findall(r"{(\w+)}", operation.path)]
    asked += [("query", name, False) for name in sorted(operation.parameters)]
    plain = [
        {"name": name, "in": place, "required": required, "schema": {"type": "string"}}
        for place, name, required in asked
        if (place, name) not in named
    ]
    return [*described, *plain]

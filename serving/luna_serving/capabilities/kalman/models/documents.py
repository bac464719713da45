"""Parses the body of a PUT into a model to store, and renders a stored model as an answer."""

from dataclasses import dataclass
from typing import Any, Final

import orjson

from luna_serving.capabilities.kalman.store.models import StoredModel
from luna_serving.capabilities.kalman.wire.model import AT, read_model
from luna_serving.wire import problems
from luna_serving.wire.conditions import EntityTags
from luna_serving.wire.documents import SPARE_LISTS, read_object
from luna_serving.wire.problems import FieldError

# The members of a GET's answer, which are accepted in a PUT: clients read, change and put it back.
ANSWERED = frozenset({"name", "version", "model", "created_at"})
TAGS: Final = EntityTags("[0-9]{1,10}", int, str, what="a model")


@dataclass(frozen=True, slots=True)
class ModelDocument:
    """A model that passed all checks."""

    kind: str
    text: str
    """Its JSON with sorted members, so that equal models have equal texts."""


def read_document(body: bytes, name: str) -> ModelDocument:
    """Read a model, bare or in the form of a GET's answer.

    Args:
        body: the bytes.
        name: the name in the path; a name in the body must be the same.

    Raises:
        Problem: 422, with pointers into this body.
    """
    document = read_object(body, "", SPARE_LISTS)
    wrapped = "model" in document and "kind" not in document
    if wrapped:
        _check_wrapper(document, name)
    description = document["model"] if wrapped else document
    spec = read_model(description, AT if wrapped else ())
    return ModelDocument(spec.kind, orjson.dumps(description, option=orjson.OPT_SORT_KEYS).decode())


def _check_wrapper(document: dict[str, Any], name: str) -> None:
    unknown = sorted(document.keys() - ANSWERED)
    if unknown:
        wrong = "Is not taken next to `model`: only members that a GET answers are."
        raise problems.invalid(*(FieldError(f"/{field}", wrong) for field in unknown[:10]))
    if document.get("name", name) != name:
        raise problems.invalid(FieldError("/name", f"Must be the name in the path, {name!r}, or be left out."))


def render(stored: StoredModel) -> bytes:
    """The answer's body, with the model exactly as it was put."""
    info = stored.info
    return orjson.dumps(
        {
            "name": info.name,
            "version": info.version,
            "model": orjson.Fragment(stored.document),
            "created_at": info.created_at,
        },
        option=orjson.OPT_UTC_Z,
    )

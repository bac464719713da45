"""Validates a JSON object as a form; errors point to wrong, missing and unknown members.

A form is a request without its series. A schema would check each of a million numbers and make an error per wrong one,
so series stay lists until `luna_serving.wire.series` reads them. OpenAPI shows both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, takewhile
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from luna_serving.wire import problems
from luna_serving.wire.documents import read_object
from luna_serving.wire.pointers import first
from luna_serving.wire.problems import FieldError
from luna_serving.wire.pydantic_errors import field_errors
from luna_serving.wire.strict import StrictModel, unknown_members

T = TypeVar("T")


class Form(StrictModel):
    """The members of a request other than its series."""

    SERIES: ClassVar[type[BaseModel]]
    """A schema with the series as its only member, for OpenAPI; not used for validation."""

    @classmethod
    def series_member(cls) -> str:
        """The name of the member that holds the series."""
        (name,) = cls.SERIES.model_fields
        return name

    @classmethod
    def member_names(cls) -> list[str]:
        """The names of all members, that of the series among them."""
        return [cls.series_member(), *super().member_names()]

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The request in OpenAPI: the form, with the series after the first required members."""
        shown = handler(schema)
        whole = handler.resolve_ref_schema(shown)
        series = cls.SERIES.model_json_schema()
        members, required = whole["properties"], whole.get("required", [])
        leading = list(takewhile(required.__contains__, members))
        whole["properties"] = {name: members[name] for name in leading} | series["properties"] | members
        whole["required"] = [*leading, *series.get("required", []), *required[len(leading) :]]
        return shown


F = TypeVar("F", bound=StrictModel)
B = TypeVar("B", bound=Form)


@dataclass(frozen=True, slots=True)
class Opened(Generic[B]):
    """A parsed request whose series have not been read."""

    form: B
    series: Any
    """As they were sent, of any type; None if they were left out."""


def open_body(schema: type[B], body: bytes, max_lists: int) -> Opened[B]:
    """Read a body, except its series.

    Args:
        schema: the form.
        body: the bytes.
        max_lists: the most lists in addition to those that its length allows.

    Raises:
        Problem: 422.
    """
    return open_document(schema, read_object(body, schema.series_member(), max_lists))


def open_document(schema: type[B], document: dict[str, Any]) -> Opened[B]:
    """Read a JSON object, except its series.

    Raises:
        Problem: 422.
    """
    name = schema.series_member()
    members = {each: value for each, value in document.items() if each != name}
    is_missing = name not in document and schema.SERIES.model_fields[name].is_required()
    missing = [FieldError(f"/{name}", "Field required.")] if is_missing else []
    return Opened(read_form(schema, members, missing), document.get(name))


def read_form(schema: type[F], members: dict[str, Any], missing: Sequence[FieldError] = ()) -> F:
    """Validate members by `schema`.

    Args:
        schema: the schema.
        members: a JSON object.
        missing: errors that were found before, shown with the others.

    Raises:
        Problem: 422.
    """
    refuse_unknown(schema, members)
    form = validated(schema.model_validate, members, missing=missing)
    if missing:
        raise problems.invalid(*missing)
    return form


def refuse_unknown(schema: type[StrictModel], members: dict[str, Any], path: tuple[str, ...] = ()) -> None:
    """Refuse unknown members.

    Raises:
        Problem: 422.
    """
    unknown = first(unknown_members(schema, members, path))
    if unknown:
        raise problems.invalid(*unknown)


def validated(
    validate: Callable[[Any], T],
    value: Any,  # noqa: ANN401  JSON
    path: tuple[str, ...] = (),
    missing: Sequence[FieldError] = (),
) -> T:
    """Validate a value at `path` of the body with pydantic; `missing` is shown with its errors.

    Raises:
        Problem: 422.
    """
    try:
        return validate(value)
    except ValidationError as e:
        wrong = e.errors(include_url=False, include_input=False)
        raise problems.invalid(*first(chain(missing, field_errors(wrong, value, path)))) from e

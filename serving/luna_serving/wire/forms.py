"""From a JSON object to a checked form: which member is wrong, missing or unknown, by its pointer.

A form is a request without its series. A schema would look at each of a million numbers and make an error of each
that is wrong; series stay the lists that they were until `luna_serving.wire.series` reads them. OpenAPI shows both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, takewhile
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, ErrorDetails

from luna_serving.wire import problems
from luna_serving.wire.documents import read_object
from luna_serving.wire.pointers import MAX_ERRORS, cut, first, pointer_of
from luna_serving.wire.problems import FieldError
from luna_serving.wire.strict import StrictModel, unknown_members

MAX_MESSAGE = 300
T = TypeVar("T")


class Form(StrictModel):
    """A request's members but for its series."""

    SERIES: ClassVar[type[BaseModel]]
    """A schema whose one member is the series, as OpenAPI shows it; nothing is validated by it."""

    @classmethod
    def series_member(cls) -> str:
        """The name of the member that holds the series."""
        (name,) = cls.SERIES.model_fields
        return name

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """How OpenAPI describes the request: the form, and the series behind its first members that are required."""
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
    """A request's body, of which the series are still to be read."""

    form: B
    series: Any
    """As they came, of any type; None where they were left out."""


def open_body(schema: type[B], body: bytes, max_lists: int) -> Opened[B]:
    """Read a body but for its series.

    Args:
        schema: of the form.
        body: the bytes.
        max_lists: the most lists that it may hold besides those that its length allows.

    Raises:
        Problem: 422.
    """
    return open_document(schema, read_object(body, schema.series_member(), max_lists))


def open_document(schema: type[B], document: dict[str, Any]) -> Opened[B]:
    """Read a JSON object but for its series.

    Raises:
        Problem: 422.
    """
    name = schema.series_member()
    members = {each: value for each, value in document.items() if each != name}
    is_missing = name not in document and schema.SERIES.model_fields[name].is_required()
    missing = [FieldError(f"/{name}", "Field required.")] if is_missing else []
    return Opened(read_form(schema, members, missing), document.get(name))


def read_form(schema: type[F], members: dict[str, Any], missing: Sequence[FieldError] = ()) -> F:
    """The members as `schema` has them.

    Args:
        schema: what they are to be.
        members: a JSON object.
        missing: what is known to be wrong already, shown with the rest.

    Raises:
        Problem: 422.
    """
    refuse_unknown(schema, members)
    form = validated(schema.model_validate, members, missing=missing)
    if missing:
        raise problems.invalid(*missing)
    return form


def refuse_unknown(schema: type[StrictModel], members: dict[str, Any], path: tuple[str, ...] = ()) -> None:
    """Refuse members that no schema has.

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
    """What pydantic makes of a value at `path` of the body; `missing` is shown with what it finds wrong.

    Raises:
        Problem: 422.
    """
    try:
        return validate(value)
    except ValidationError as e:
        wrong = e.errors(include_url=False, include_context=False, include_input=False)[:MAX_ERRORS]
        raise problems.invalid(*first(chain(missing, (_field_error(path, each) for each in wrong)))) from e


def _field_error(path: tuple[str, ...], error: ErrorDetails) -> FieldError:
    steps = (*path, *map(str, error["loc"]))
    return FieldError(pointer_of(steps), f"{cut(error['msg'], MAX_MESSAGE)}.")

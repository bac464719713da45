"""Strict schemas: the base class, unions by `kind`, and the search for unknown members."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, get_args, runtime_checkable

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from luna_serving.wire.pointers import pointer_of
from luna_serving.wire.problems import FieldError


class StrictModel(BaseModel):
    """A schema that refuses unknown fields and does not convert types, such as a number in quotes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @classmethod
    def member_names(cls) -> list[str]:
        """The names of all members, as a body has them."""
        return [field.alias or name for name, field in cls.model_fields.items()]

    def to_json(self) -> dict[str, Any]:
        """The object as JSON values, without nulls. Lists are shared, not copied."""
        values = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name: _plain(value) for name, value in values if value is not None}


def _plain(value: Any) -> Any:  # noqa: ANN401  JSON
    if isinstance(value, StrictModel):
        return value.to_json()
    # Lists of objects are short; lists of numbers may have a million rows.
    holds_objects = isinstance(value, list) and value and isinstance(value[0], StrictModel)
    return [each.to_json() for each in value] if holds_objects else value


@runtime_checkable
class Choice(Protocol):
    """In `Annotated`: a member with one of several schemas."""

    def chosen(self, value: object) -> type[StrictModel] | None:
        """The schema that a value names; None if it names no known one."""


@dataclass(frozen=True, slots=True, eq=False)
class ByKind:
    """In `Annotated[A | B, Field(discriminator="kind"), ByKind(kinds_of(A | B))]`: the schema named by `kind`.

    The union alone would add the kind to the path of each error, and the body has no such member.
    """

    kinds: Mapping[str, type[StrictModel]]

    def chosen(self, value: object) -> type[StrictModel] | None:
        """The schema of the value's kind."""
        kind = value.get("kind") if isinstance(value, dict) else None
        return self.kinds.get(kind) if isinstance(kind, str) else None

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The schema for pydantic, and through the union for OpenAPI."""
        return core_schema.no_info_wrap_validator_function(self._read, handler(source))

    def _read(self, value: Any, union: core_schema.ValidatorFunctionWrapHandler) -> Any:  # noqa: ANN401  JSON
        schema = self.chosen(value)
        # The union's own error lists the kinds.
        return union(value) if schema is None else schema.model_validate(value)


def kinds_of(union: object) -> dict[str, type[StrictModel]]:
    """The schemas of a union by their value of `kind`."""
    return {get_args(schema.model_fields["kind"].annotation)[0]: schema for schema in get_args(union)}


def unknown_members(
    schema: type[StrictModel], members: dict[str, Any], path: tuple[str, ...] = ()
) -> Iterator[FieldError]:
    """The errors of unknown members, at most a few; pydantic would make one per member, up to a million."""
    for name in members:
        if name not in schema.model_fields:
            known = ", ".join(schema.member_names())
            yield FieldError(pointer_of((*path, name)), f"Is not permitted here: the members are {known}.")
    for name, choice in _choices(schema):
        value = members.get(name)
        if isinstance(value, list):
            for i, each in enumerate(value):
                yield from _unknown_of_choice(choice, each, (*path, name, str(i)))
        else:
            yield from _unknown_of_choice(choice, value, (*path, name))


def _unknown_of_choice(choice: Choice, value: object, path: tuple[str, ...]) -> Iterator[FieldError]:
    if isinstance(value, dict) and (schema := choice.chosen(value)) is not None:
        yield from unknown_members(schema, value, path)


@cache
def _choices(schema: type[StrictModel]) -> tuple[tuple[str, Choice], ...]:
    found = ((name, (*field.metadata, *_parts(field.annotation))) for name, field in schema.model_fields.items())
    return tuple((name, part) for name, parts in found for part in parts if isinstance(part, Choice))


def _parts(annotation: object) -> Iterator[object]:
    """The parts of a type such as `list[Annotated[A | B, choice]] | None`, `choice` among them."""
    for part in get_args(annotation):
        yield part
        yield from _parts(part)

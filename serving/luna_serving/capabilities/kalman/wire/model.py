"""The member `model` of a request: a description, which becomes a `ModelSpec`, or a stored model's name."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec
from luna_serving.capabilities.kalman.wire.kind_schemas import MODELS, Model
from luna_serving.capabilities.kalman.wire.named_model import NamedModel, names_a_model
from luna_serving.engines.statespace.api.description import Model as BuiltModel
from luna_serving.engines.statespace.api.description import ModelError
from luna_serving.wire import problems
from luna_serving.wire.forms import Form, refuse_unknown, validated
from luna_serving.wire.problems import FieldError
from luna_serving.wire.strict import ByKind, StrictModel

KINDS = ByKind(MODELS)
DESCRIBED: TypeAdapter[Any] = TypeAdapter(Model)
AT = ("model",)
"""JSON pointer to a request's model."""


@dataclass(frozen=True, slots=True, eq=False)
class _ModelMember:
    """How pydantic reads the member, with a function, and how OpenAPI describes it."""

    def chosen(self, value: object) -> type[StrictModel] | None:
        """The schema that the member names."""
        return NamedModel if names_a_model(value) else KINDS.chosen(value)

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The result of a function; the schemas are for the documentation."""
        shown = handler.generate_schema(Model | NamedModel)
        return core_schema.no_info_plain_validator_function(_read_member, json_schema_input_schema=shown)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """No value is both."""
        shown = handler(schema)
        shown["oneOf"] = shown.pop("anyOf")
        return shown


def _read_member(member: Any) -> ModelSpec | NamedModel:  # noqa: ANN401  JSON
    if names_a_model(member):
        return NamedModel.model_validate(member)
    spec: ModelSpec = DESCRIBED.validate_python(member).spec()
    return spec


ModelOrName = Annotated[ModelSpec | NamedModel, _ModelMember()]


class ModelForm(Form):
    """A request for something under one model."""

    model: ModelOrName


def read_model(description: object, at: tuple[str, ...] = AT) -> ModelSpec:
    """The model that a JSON value describes, with form and meaning checked.

    Args:
        description: the unchecked value.
        at: its place in the body, for pointers.

    Raises:
        Problem: 422.
    """
    if names_a_model(description):
        wrong = "Field required: the model itself, not the name of one."
        raise problems.invalid(FieldError("".join(f"/{step}" for step in (*at, "kind")), wrong))
    kind = KINDS.chosen(description)
    if kind is not None and isinstance(description, dict):
        refuse_unknown(kind, description, at)
    spec: ModelSpec = validated(DESCRIBED.validate_python, description, at).spec()
    built(spec, at)
    return spec


def built(spec: ModelSpec, at: tuple[str, ...] = AT) -> BuiltModel:
    """Build the matrices of a parsed model.

    Raises:
        Problem: 422, a field is out of its range.
    """
    try:
        return spec.build()
    except ModelError as e:
        pointer = "".join(f"/{step}" for step in at) + e.pointer
        raise problems.invalid(FieldError(pointer, e.message)) from e


def covering(spec: ModelSpec, periods: int) -> tuple[ModelSpec, BuiltModel]:
    """The model for a number of periods, including those to forecast, and its matrices.

    Raises:
        Problem: 422.
    """
    spec = spec.covering(periods)
    return spec, built(spec)

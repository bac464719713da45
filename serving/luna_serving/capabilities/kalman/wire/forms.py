"""From a JSON object to a checked form: which field is wrong, missing or unknown."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from luna_serving.capabilities.kalman.jobs.job import ModelSpec
from luna_serving.capabilities.kalman.wire.kind_schemas import (
    Arima,
    ConstantAcceleration,
    ConstantVelocity,
    LocalLevel,
    LocalLinearTrend,
    Model,
    StateSpace,
    Structural,
)
from luna_serving.capabilities.kalman.wire.named_model import WAYS, NamedModel, names_a_model
from luna_serving.capabilities.kalman.wire.schemas import KalmanRequest
from luna_serving.capabilities.kalman.wire.start_schemas import (
    ApproximateDiffuse,
    ApproximateDiffuseStates,
    Blocks,
    Diffuse,
    DiffuseStates,
    Known,
    KnownStates,
    Stationary,
    StationaryStates,
)
from luna_serving.engines.statespace.api.description import MAX_STATES, ModelError
from luna_serving.engines.statespace.api.description import Model as BuiltModel
from luna_serving.wire import problems
from luna_serving.wire.documents import MAX_ERRORS, cut, first, pointer_of
from luna_serving.wire.problems import FieldError
from luna_serving.wire.strict import Words

MODEL: TypeAdapter[Any] = TypeAdapter(Model)
# The wire's kinds to the fields that each may have. A union's branch stands in pydantic's path, but not in the body.
MODELS: dict[str, type[Words]] = {
    "local_level": LocalLevel,
    "local_linear_trend": LocalLinearTrend,
    "constant_velocity": ConstantVelocity,
    "constant_acceleration": ConstantAcceleration,
    "structural": Structural,
    "arima": Arima,
    "state_space": StateSpace,
}
STARTS: dict[str, type[Words]] = {
    "known": Known,
    "diffuse": Diffuse,
    "approximate_diffuse": ApproximateDiffuse,
    "stationary": Stationary,
    "blocks": Blocks,
}
BLOCKS: dict[str, type[Words]] = {
    "known": KnownStates,
    "diffuse": DiffuseStates,
    "approximate_diffuse": ApproximateDiffuseStates,
    "stationary": StationaryStates,
}
MAX_MESSAGE = 300


def read_form(schema: type[Words], document: dict[str, Any]) -> Any:  # noqa: ANN401  an instance of `schema`
    """The document as `schema` has it.

    Raises:
        Problem: 422.
    """
    unknown = first(_unknown(schema, document))
    if unknown:
        raise problems.invalid(*unknown)
    try:
        return schema.model_validate(document)
    except ValidationError as e:
        wrong = e.errors(include_url=False, include_context=False, include_input=False)[:MAX_ERRORS]
        raise problems.invalid(*map(_field_error, wrong)) from e


def read_model(words: object) -> ModelSpec:
    """The model that the words describe, checked for meaning as well.

    Raises:
        Problem: 422.
    """
    try:
        spec: ModelSpec = MODEL.validate_python(words).spec()
        spec.build()
    except ModelError as e:
        raise problems.invalid(FieldError(f"/model{e.pointer}", e.message)) from e
    return spec


def covering(spec: ModelSpec, periods: int) -> tuple[ModelSpec, BuiltModel]:
    """The model for so many periods, those to forecast included, and its matrices.

    Raises:
        Problem: 422.
    """
    spec = spec.covering(periods)
    try:
        return spec, spec.build()
    except ModelError as e:
        raise problems.invalid(FieldError(f"/model{e.pointer}", e.message)) from e


def read_model_alone(words: object) -> ModelSpec:
    """The model that the words describe, of which nothing has been checked yet; pointers begin with /model.

    Raises:
        Problem: 422.
    """
    if names_a_model(words):
        raise problems.invalid(FieldError("/model/kind", "Field required: the model itself, not the name of one."))
    read_form(KalmanRequest, {"model": words, "results": [0.0]})
    return read_model(words)


def _unknown(schema: type[Words], document: dict[str, Any]) -> Iterator[FieldError]:
    """The fields that nobody asked for, before pydantic makes an error of each, ten or a million."""
    yield from _extra((), document, schema)
    model = document.get("model")
    if names_a_model(model):
        yield from _extra(("model",), model, NamedModel)
    if not isinstance(model, dict) or (kind := _kind(model, MODELS)) is None:
        return
    yield from _extra(("model",), model, kind)
    initial = model.get("initial")
    if isinstance(initial, dict) and (start := _kind(initial, STARTS)) is not None:
        yield from _extra(("model", "initial"), initial, start)
        blocks = initial.get("blocks") if start is Blocks else None
        # More blocks than there may be are one error.
        for i, block in enumerate(blocks[:MAX_STATES] if isinstance(blocks, list) else ()):
            if isinstance(block, dict) and (part := _kind(block, BLOCKS)) is not None:
                yield from _extra(("model", "initial", "blocks", str(i)), block, part)


def _kind(words: dict[str, Any], kinds: dict[str, type[Words]]) -> type[Words] | None:
    kind = words.get("kind")
    return kinds.get(kind) if isinstance(kind, str) else None


def _extra(path: tuple[str, ...], words: dict[str, Any], schema: type[BaseModel]) -> Iterator[FieldError]:
    names = (name for name in words if name not in schema.model_fields)
    return (FieldError(pointer_of((*path, name)), "Extra inputs are not permitted.") for name in names)


def _field_error(error: Any) -> FieldError:  # noqa: ANN401  pydantic_core.ErrorDetails
    steps = [str(step) for step in error["loc"]]
    if len(steps) > 1 and steps[0] == "model" and steps[1] in WAYS:
        del steps[1]
    if len(steps) > 1 and steps[0] == "model" and steps[1] in MODELS:
        del steps[1]
    if len(steps) > 2 and steps[:2] == ["model", "initial"] and steps[2] in STARTS:
        del steps[2]
    if len(steps) > 4 and steps[:3] == ["model", "initial", "blocks"] and steps[4] in BLOCKS:
        del steps[4]
    return FieldError(pointer_of(steps), f"{cut(error['msg'], MAX_MESSAGE)}.")

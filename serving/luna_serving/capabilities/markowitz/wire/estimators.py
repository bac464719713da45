"""Reads the estimator: a name, an object with `kind`, or a name with the members of the object beside it."""

from typing import Any, Final

from luna_serving.capabilities.markowitz.job import Estimator, Market
from luna_serving.capabilities.markowitz.wire.arrays import vector
from luna_serving.capabilities.markowitz.wire.schemas import (
    BESIDE,
    ESTIMATORS,
    BlackLittermanForm,
    EwmForm,
    MarkowitzRequest,
    PlainForm,
)
from luna_serving.engines.finance.markowitz.api.problems import View
from luna_serving.wire import problems
from luna_serving.wire.forms import refuse_unknown, validated
from luna_serving.wire.problems import FieldError
from luna_serving.wire.strict import StrictModel

AT: Final = "estimator"


def estimator_form(request: MarkowitzRequest) -> tuple[StrictModel, tuple[str, ...]]:
    """The estimator as it was sent, and the path of its members in the body.

    Raises:
        Problem: 422.
    """
    sent = request.estimator
    beside = {name: value for name in BESIDE if (value := getattr(request, name)) is not None}
    if isinstance(sent, str):
        schema = _schema(sent)
        for name in beside:
            if name not in schema.model_fields:
                raise problems.invalid(FieldError(f"/{name}", f"Is no member of the estimator {sent!r}. Leave it out."))
        members, path = {"kind": sent, **beside}, tuple[str, ...]()
    elif isinstance(sent, dict):
        if beside:
            name = next(iter(beside))
            raise problems.invalid(
                FieldError(f"/{name}", "Must stand in the estimator's object, or the object be a name.")
            )
        schema, members, path = _schema(sent.get("kind"), "/kind"), sent, (AT,)
        refuse_unknown(schema, members, path)
    else:
        raise problems.invalid(FieldError(f"/{AT}", "Must be a name, or an object with `kind`."))
    return validated(schema.model_validate, members, path), path


def estimator_of(form: StrictModel, path: tuple[str, ...], n: int, data: str) -> Estimator:
    """The estimator for n assets.

    Raises:
        Problem: 422.
    """
    match form:
        case EwmForm(decay=decay):
            return Estimator("ewm", decay=decay)
        case BlackLittermanForm():
            at = "".join(f"/{step}" for step in path)
            weights = vector(f"{at}/market_weights", form.market_weights, n, data)
            views = tuple(
                View(vector(f"{at}/views/{i}/weights", view.weights, n, data), view.mean, view.variance)
                for i, view in enumerate(form.views)
            )
            for i, view in enumerate(views):
                if not view.weights.any():
                    raise problems.invalid(FieldError(f"{at}/views/{i}/weights", "Must not all be zero."))
            market = Market(weights, form.risk_aversion, form.tau, views)
            return Estimator("black_litterman", covariance=form.covariance, market=market)
        case PlainForm(kind=kind):
            return Estimator(kind)
        case _:
            raise TypeError(type(form).__name__)


def _schema(kind: Any, below: str = "") -> type[StrictModel]:  # noqa: ANN401  JSON
    schema = ESTIMATORS.get(kind) if isinstance(kind, str) else None
    if schema is None:
        raise problems.invalid(FieldError(f"/{AT}{below}", f"Must be one of {', '.join(ESTIMATORS)}."))
    return schema

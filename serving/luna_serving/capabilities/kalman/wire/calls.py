"""From a body to a call under its model, which the body describes or names."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec
from luna_serving.capabilities.kalman.wire.model import ModelForm, built
from luna_serving.capabilities.kalman.wire.named_model import NamedModel
from luna_serving.capabilities.kalman.wire.series import SeriesLimits
from luna_serving.dispatch.work import Work
from luna_serving.wire.documents import SPARE_LISTS
from luna_serving.wire.forms import Opened, open_body

W = TypeVar("W", bound=Work)
F = TypeVar("F", bound=ModelForm)


@dataclass(frozen=True, slots=True)
class NamedCall:
    """A call under a model that the account has stored."""

    reference: NamedModel
    under: Callable[[ModelSpec], Work]
    """The call's work, given the model. Raises Problem 422."""


def open_call(schema: type[F], body: bytes, limits: SeriesLimits) -> Opened[F]:
    """Read the body of a call that may hold many series.

    Raises:
        Problem: 422.
    """
    return open_body(schema, body, limits.max_series_per_request + SPARE_LISTS)


def under_model(model: ModelSpec | NamedModel, under: Callable[[ModelSpec], W]) -> W | NamedCall:
    """The work under a model that was read; or, where it is named, what there is to do once it is known.

    Raises:
        Problem: 422.
    """
    if isinstance(model, NamedModel):
        return NamedCall(model, under)
    built(model)
    return under(model)

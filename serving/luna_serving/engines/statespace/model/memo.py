"""Values worked out from a model once, and kept as long as the model is."""

from collections.abc import Callable, Hashable
from functools import wraps
from inspect import signature
from typing import Concatenate, ParamSpec, Protocol, TypeVar, cast

P = ParamSpec("P")
Value = TypeVar("Value")


class Remembering(Protocol):
    """A model: an immutable value with room for what follows from it."""

    @property
    def memo(self) -> dict[Hashable, object]:
        """Results by function and arguments; only `once_per_model` reads and writes it."""


M = TypeVar("M", bound=Remembering)


def once_per_model(work: Callable[Concatenate[M, P], Value]) -> Callable[Concatenate[M, P], Value]:
    """Let a pure function of a model, and of hashable arguments, be computed once for each model.

    Two threads may both compute it; either result is kept.
    """
    rest = [(each.name, each.default) for each in list(signature(work).parameters.values())[1:]]

    @wraps(work)
    def remembered(model: M, /, *args: P.args, **kwargs: P.kwargs) -> Value:
        key = (work, *args, *(kwargs.get(name, default) for name, default in rest[len(args) :]))
        if key in model.memo:
            return cast("Value", model.memo[key])
        value = work(model, *args, **kwargs)
        model.memo[key] = value
        return value

    return remembered

"""The engine's state-space model of a request's, whose `model` is as the Kalman routes take it."""

import inspect
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from luna_serving.capabilities.montecarlo.schemas.models import StateSpaceModel
from luna_serving.capabilities.montecarlo.wire.spots import spots_of, wrong
from luna_serving.engines.finance.montecarlo.api.description import StateSpace
from luna_serving.engines.statespace.api.description import (
    KINDS,
    ApproximateDiffuse,
    Diffuse,
    Initial,
    Known,
    Model,
    ModelError,
    Stationary,
    pinned,
)

INITIALS: Final = ("diffuse", "stationary", "known", "approximate_diffuse")
LARGEST: Final = 1e12


def state_space(model: StateSpaceModel) -> StateSpace:
    """Build a model.

    Raises:
        Problem: 422.
    """
    matrices = _matrices(model.model)
    if matrices.length is not None:
        raise wrong("/model/model", "Varies in time over a fixed length. Send a model whose matrices are constant.")
    start = _start(model, matrices)
    spots = spots_of(model.spot, matrices.observed)
    return StateSpace(matrices, start, spots, model.observations == "log_returns", model.rate)


def _matrices(words: Mapping[str, Any]) -> Model:
    fields = dict(words)
    kind = fields.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise wrong("/model/model/kind", f"Must be one of {', '.join(KINDS)}.")
    _check_names(kind, fields)
    initial = fields.pop("initial", None)
    try:
        return KINDS[kind](**fields, initial=None if initial is None else _initial(initial))
    except ModelError as e:
        raise wrong(f"/model/model{e.pointer}", e.message) from e
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, ArithmeticError) as e:
        detail = f"Has a member of a wrong type or shape for the kind {kind}; POST /kalman/filter says which."
        raise wrong("/model/model", detail) from e


def _check_names(kind: str, fields: Mapping[str, Any]) -> None:
    known = inspect.signature(KINDS[kind]).parameters
    for name in fields:
        if name not in known:
            raise wrong(f"/model/model/{name}", f"Is not permitted here: the members of {kind} are {', '.join(known)}.")
    for name, parameter in known.items():
        if parameter.default is parameter.empty and name not in {*fields, "initial"}:
            raise wrong(f"/model/model/{name}", "Field required.")


def _start(model: StateSpaceModel, matrices: Model) -> Float[np.ndarray, " n"]:
    at = "/model/initial_state"
    start = np.full(matrices.states, np.nan)
    if model.initial_state is not None:
        if len(model.initial_state) != matrices.states:
            raise wrong(at, f"Must hold {matrices.states} numbers or nulls, one per state.")
        start = np.array([math.nan if x is None else x for x in model.initial_state], dtype=np.float64)
        if not (np.isnan(start) | (np.abs(start) <= LARGEST)).all():
            raise wrong(at, f"Must hold numbers of at most {LARGEST:g} in size.")
    try:
        pinned(matrices.start, start)
    except ModelError as e:
        raise wrong(at, e.message) from e
    return start


def _initial(words: Mapping[str, Any]) -> Initial:
    if not isinstance(words, dict) or words.get("kind") not in INITIALS:
        raise wrong("/model/model/initial/kind", f"Must be one of {', '.join(INITIALS)}.")
    wanted = {"known": ("mean", "cov"), "approximate_diffuse": ("variance",)}.get(words["kind"], ())
    for name in wanted:
        if name not in words:
            raise wrong(f"/model/model/initial/{name}", "Field required.")
    match words["kind"]:
        case "known":
            return Known(words["mean"], words["cov"], words.get("timing", "predicted"))
        case "approximate_diffuse":
            return ApproximateDiffuse(words["variance"])
        case "stationary":
            return Stationary()
        case _:
            return Diffuse()

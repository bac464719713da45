"""The engine's model of a request's."""

import inspect
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from luna_serving.capabilities.montecarlo.schemas.models import (
    AnyModel,
    BasketModel,
    BatesModel,
    BootstrapModel,
    GbmModel,
    HestonModel,
    MertonModel,
    StateSpaceModel,
)
from luna_serving.engines.finance.montecarlo.api.description import (
    ROUNDING,
    Bootstrap,
    Diffusion,
    Heston,
    Jumps,
    Model,
    StateSpace,
    factor,
    least_eigenvalue,
    nearest,
)
from luna_serving.engines.statespace.api.description import (
    KINDS,
    ApproximateDiffuse,
    Diffuse,
    Initial,
    Known,
    ModelError,
    Stationary,
    pinned,
)
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError, Problem

INITIALS: Final = ("diffuse", "stationary", "known", "approximate_diffuse")


def model_of(model: AnyModel) -> Model:
    """Build a model.

    Raises:
        Problem: 422.
    """
    match model:
        case BatesModel():
            return Jumps(_heston(model), model.intensity, model.jump_mean, model.jump_std)
        case HestonModel():
            return _heston(model)
        case MertonModel():
            return Jumps(_diffusion(model), model.intensity, model.jump_mean, model.jump_std)
        case GbmModel():
            return _diffusion(model)
        case BasketModel():
            return _basket(model)
        case BootstrapModel():
            return _bootstrap(model)
        case StateSpaceModel():
            return _state_space(model)


def _diffusion(model: GbmModel) -> Diffusion:
    return Diffusion((model.spot,), (model.volatility,), (model.dividend_yield,), model.rate)


def _heston(model: HestonModel) -> Heston:
    return Heston(
        model.spot, model.rate, model.dividend_yield, model.v0, model.kappa, model.theta, model.sigma, model.rho
    )


def _basket(model: BasketModel) -> Diffusion:
    at, n = "/model/correlation", len(model.assets)
    if len(model.correlation) != n:
        raise _wrong(at, f"Must have {n} rows, one per asset; has {len(model.correlation)}.")
    for i, row in enumerate(model.correlation):
        if len(row) != n:
            raise _wrong(f"{at}/{i}", f"Must have {n} numbers, one per asset; has {len(row)}.")
        if row[i] != 1.0:
            raise _wrong(f"{at}/{i}/{i}", "Must be 1: an asset's correlation with itself.")
        for j in range(i):
            if row[j] != model.correlation[j][i]:
                raise _wrong(f"{at}/{i}/{j}", f"Must equal {at}/{j}/{i}: a correlation matrix is symmetric.")
    matrix = np.array(model.correlation, dtype=np.float64)
    least = least_eigenvalue(matrix)
    if least < -ROUNDING:
        raise not_semi_definite(at, least, matrix)
    assets = model.assets
    return Diffusion(
        tuple(each.spot for each in assets),
        tuple(each.volatility for each in assets),
        tuple(each.dividend_yield for each in assets),
        model.rate,
        factor(matrix),
    )


def not_semi_definite(at: str, least: float, matrix: Any) -> Problem:  # noqa: ANN401  an array
    """422, with the nearest correlation matrix as `nearest`."""
    near = nearest(matrix)
    detail = (
        f"Is not positive semi-definite: its least eigenvalue is {least:.6g}. No prices move together like this. "
        "`nearest` is the nearest correlation matrix (Higham 2002)."
    )
    error = FieldError(at, detail)
    return Problem(
        "invalid",
        422,
        "The request is not valid.",
        f"{at}: {detail}",
        extra={"errors": [error.as_dict()], "nearest": near.tolist()},
    )


def _bootstrap(model: BootstrapModel) -> Bootstrap:
    at = "/model/returns"
    if model.returns is None:
        raise _wrong(at, "Field required: returns, dataset or symbols.")
    rows = [row if isinstance(row, list) else [row] for row in model.returns]
    width = len(rows[0])
    if not width:
        raise _wrong(f"{at}/0", "Must have a number per asset.")
    for i, row in enumerate(rows):
        if len(row) != width:
            raise _wrong(f"{at}/{i}", f"Must have {width} numbers, as the first row; has {len(row)}.")
    values = np.array(rows, dtype=np.float64)
    wrong = np.argwhere(values <= -1.0)
    if len(wrong):
        i, j = (int(each) for each in wrong[0])
        place = f"{at}/{i}/{j}" if isinstance(model.returns[i], list) else f"{at}/{i}"
        raise _wrong(place, "Must be above -1: a simple return of -1 is a total loss, and its logarithm infinite.")
    if model.block > len(values):
        raise _wrong("/model/block", f"Must be at most {len(values)}, the number of periods.")
    return Bootstrap.of(values, model.block, _spots(model.spot, width), model.rate)


def _state_space(model: StateSpaceModel) -> StateSpace:
    fields = dict(model.model)
    kind = fields.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise _wrong("/model/model/kind", f"Must be one of {', '.join(KINDS)}.")
    known = inspect.signature(KINDS[kind]).parameters
    for name in fields:
        if name not in known:
            raise _wrong(f"/model/model/{name}", f"Extra inputs are not permitted: {kind} has {', '.join(known)}.")
    initial = fields.pop("initial", None)
    try:
        matrices = KINDS[kind](**fields, initial=None if initial is None else _initial(initial))
    except ModelError as e:
        raise _wrong(f"/model/model{e.pointer}", e.message) from e
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as e:
        raise _wrong("/model/model", f"Is not a model of the kind {kind}: {e}.") from e
    if matrices.length is not None:
        raise _wrong("/model/model", "Varies in time over a fixed length. Send a model whose matrices are constant.")
    start = np.full(matrices.states, np.nan)
    if model.initial_state is not None:
        if len(model.initial_state) != matrices.states:
            raise _wrong("/model/initial_state", f"Must hold {matrices.states} numbers or nulls, one per state.")
        start = np.array([math.nan if x is None else x for x in model.initial_state], dtype=np.float64)
        if np.isinf(start).any() or (np.abs(start[~np.isnan(start)]) > 1e12).any():
            raise _wrong("/model/initial_state", "Must hold numbers of at most 1e12 in size.")
    try:
        pinned(matrices.start, start)
    except ModelError as e:
        raise _wrong("/model/initial_state", e.message) from e
    spots = _spots(model.spot, matrices.observed)
    return StateSpace(matrices, start, spots, model.observations == "log_returns", model.rate)


def _initial(words: Mapping[str, Any]) -> Initial:
    if not isinstance(words, dict) or words.get("kind") not in INITIALS:
        raise _wrong("/model/model/initial/kind", f"Must be one of {', '.join(INITIALS)}.")
    match words["kind"]:
        case "known":
            return Known(words["mean"], words["cov"], words.get("timing", "predicted"))
        case "approximate_diffuse":
            return ApproximateDiffuse(words["variance"])
        case "stationary":
            return Stationary()
        case _:
            return Diffuse()


def _spots(spot: float | list[float], assets: int) -> tuple[float, ...]:
    if not isinstance(spot, list):
        return (spot,) * assets
    if len(spot) != assets:
        raise _wrong("/model/spot", f"Must be one number, or {assets}, one per asset; has {len(spot)}.")
    return tuple(spot)


def _wrong(pointer: str, detail: str) -> Problem:
    return problems.invalid(FieldError(pointer, detail))

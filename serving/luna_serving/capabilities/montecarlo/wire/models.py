"""The engine's model of a request's."""

from typing import Any

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
from luna_serving.capabilities.montecarlo.wire.spots import spots_of, wrong
from luna_serving.capabilities.montecarlo.wire.state_space import state_space
from luna_serving.engines.finance.montecarlo.api.description import (
    ROUNDING,
    Bootstrap,
    Diffusion,
    Heston,
    Jumps,
    Model,
    factor,
    least_eigenvalue,
    nearest,
)
from luna_serving.wire.problems import FieldError, Problem


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
            return state_space(model)


def _diffusion(model: GbmModel) -> Diffusion:
    return Diffusion((model.spot,), (model.volatility,), (model.dividend_yield,), model.rate)


def _heston(model: HestonModel) -> Heston:
    return Heston(
        model.spot, model.rate, model.dividend_yield, model.v0, model.kappa, model.theta, model.sigma, model.rho
    )


def _basket(model: BasketModel) -> Diffusion:
    at, n = "/model/correlation", len(model.assets)
    if len(model.correlation) != n:
        raise wrong(at, f"Must have {n} rows, one per asset; has {len(model.correlation)}.")
    for i, row in enumerate(model.correlation):
        if len(row) != n:
            raise wrong(f"{at}/{i}", f"Must have {n} numbers, one per asset; has {len(row)}.")
        if row[i] != 1.0:
            raise wrong(f"{at}/{i}/{i}", "Must be 1: an asset's correlation with itself.")
        for j in range(i):
            if row[j] != model.correlation[j][i]:
                raise wrong(f"{at}/{i}/{j}", f"Must equal {at}/{j}/{i}: a correlation matrix is symmetric.")
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
        raise wrong(at, "Field required: returns, dataset or symbols.")
    rows = [row if isinstance(row, list) else [row] for row in model.returns]
    width = len(rows[0])
    if not width:
        raise wrong(f"{at}/0", "Must have a number per asset.")
    for i, row in enumerate(rows):
        if len(row) != width:
            raise wrong(f"{at}/{i}", f"Must have {width} numbers, as the first row; has {len(row)}.")
    values = np.array(rows, dtype=np.float64)
    losses = np.argwhere(values <= -1.0)
    if len(losses):
        i, j = (int(each) for each in losses[0])
        place = f"{at}/{i}/{j}" if isinstance(model.returns[i], list) else f"{at}/{i}"
        raise wrong(place, "Must be above -1: a simple return of -1 is a total loss, and its logarithm infinite.")
    if model.block > len(values):
        raise wrong("/model/block", f"Must be at most {len(values)}, the number of periods.")
    return Bootstrap.of(values, model.block, spots_of(model.spot, width), model.rate)

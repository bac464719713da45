"""Returns that a request names instead of sending them: of a data set, or of symbols."""

import asyncio
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.montecarlo.schemas.models import MOST_ASSETS, BootstrapModel
from luna_serving.capabilities.montecarlo.wire.prices import Closes
from luna_serving.capabilities.montecarlo.wire.requests import ORIGIN
from luna_serving.dispatch.series import SeriesBounds, SeriesReference, SeriesSources
from luna_serving.wire import problems
from luna_serving.wire.forms import refuse_unknown, validated
from luna_serving.wire.problems import FieldError

MOST_PERIODS: Final = 1_000_000
MODEL: Final = ("model",)


def names_returns(document: dict[str, Any]) -> bool:
    """Whether the body's returns are to be looked up."""
    model = document.get("model")
    if not isinstance(model, dict) or model.get("kind") != "bootstrap":
        return False
    return any(model.get(member) is not None for member in ("dataset", "symbols"))


class Returns:
    """Fills returns into requests that name them."""

    def __init__(self, series: SeriesSources, closes: Closes) -> None:
        self._series = series
        self._closes = closes

    async def filled(self, account_id: int, document: dict[str, Any]) -> dict[str, Any]:
        """The body with `returns`, and where they are from as `origin`.

        Raises:
            Problem: 422, 503.
        """
        refuse_unknown(BootstrapModel, document["model"], MODEL)
        model = validated(BootstrapModel.model_validate, document["model"], MODEL)
        given = [name for name in ("returns", "dataset", "symbols") if getattr(model, name) is not None]
        if len(given) > 1:
            raise problems.invalid(FieldError(f"/model/{given[1]}", f"Leave it out where {given[0]} is sent."))
        values, origin = await self._values(account_id, model)
        returns = await asyncio.to_thread(
            _returns, values, f"/model/{given[0]}", prices=model.dataset is None or model.values == "prices"
        )
        kept = {name: value for name, value in document["model"].items() if name not in _NAMING}
        return {**document, "model": {**kept, "returns": returns.tolist()}, ORIGIN: origin}

    async def _values(self, account_id: int, model: BootstrapModel) -> tuple[NDArray[np.float64], dict[str, Any]]:
        if model.dataset is None:
            return await self._closes.of(account_id, list(dict.fromkeys(model.symbols or ())))
        reference = SeriesReference(
            model.dataset,
            None if model.series is None else tuple(model.series),
            None if model.columns is None else tuple(model.columns),
        )
        found = await self._series.find(account_id, reference, SeriesBounds(MOST_ASSETS, MOST_PERIODS), "/model")
        columns = [np.asarray(each, dtype=np.float64).reshape(len(each), -1) for each in found.values]
        lengths = {len(each) for each in columns}
        if len(lengths) > 1:
            detail = f"Has series of {min(lengths)} to {max(lengths)} points. Name series of one length."
            raise problems.invalid(FieldError("/model/dataset", detail))
        origin = {"dataset": found.origin.as_dict(), "series": list(found.names)}
        return np.concatenate(columns, axis=1), origin


_NAMING: Final = frozenset({"dataset", "symbols", "series", "columns", "values"})


def _returns(values: NDArray[np.float64], at: str, *, prices: bool) -> NDArray[np.float64]:
    """Simple returns, a row a period; rows with a missing number are left out."""
    whole = values[~np.isnan(values).any(axis=1)]
    if prices:
        if (whole <= 0).any():
            raise problems.invalid(FieldError(at, "Has prices that are not positive."))
        whole = whole[1:] / whole[:-1] - 1.0
    if len(whole) < 2:
        raise problems.invalid(FieldError(at, "Has fewer than two periods without a missing number."))
    if whole.shape[1] > MOST_ASSETS:
        raise problems.invalid(FieldError(at, f"Has {whole.shape[1]} columns; at most {MOST_ASSETS} assets."))
    if (whole <= -1.0).any():
        raise problems.invalid(FieldError(at, "Has returns of -1 or less: say values: prices, if these are prices."))
    return whole

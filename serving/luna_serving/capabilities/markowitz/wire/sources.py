"""Data that a body names: a data set's series, or prices of symbols.

They are filled into the body, which is then parsed as any other.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
from prometheus_client import CollectorRegistry

from luna_serving.capabilities.markowitz.settings import MarkowitzSettings
from luna_serving.capabilities.markowitz.wire.reading import document_of, problem_of
from luna_serving.capabilities.markowitz.wire.schemas import DatasetForm, SymbolsForm
from luna_serving.capabilities.markowitz.wire.work import MarkowitzWork
from luna_serving.dispatch.series import FoundSeries, Origin, SeriesBounds, SeriesReference, SeriesSources
from luna_serving.dispatch.work import Unresolved
from luna_serving.engines.finance.markowitz.api.problems import Floats
from luna_serving.objects.client import ObjectStore
from luna_serving.prices.intervals import Interval
from luna_serving.prices.located import Adjust
from luna_serving.prices.mapped import BarsUnavailable, MappedMarkets, VersionGone
from luna_serving.prices.sources import PriceSources
from luna_serving.prices.wiring import markets_of
from luna_serving.settings import PlatformSettings
from luna_serving.wire import problems
from luna_serving.wire.forms import read_form, validated
from luna_serving.wire.problems import FieldError
from luna_serving.wire.sent import Sent

MEMBERS: Final = ("returns", "prices")


@dataclass(frozen=True, slots=True)
class _Reference:
    """What a body names."""

    member: str
    """`returns` or `prices`: what the data are."""
    at: str
    """JSON pointer to the data."""
    root: str
    """JSON pointer to the object whose members name them."""
    form: DatasetForm | SymbolsForm


class Sources:
    """Parses bodies, and fills in what they name."""

    def __init__(
        self,
        series: SeriesSources,
        prices: PriceSources,
        objects: ObjectStore | None,
        platform: PlatformSettings,
        settings: MarkowitzSettings,
    ) -> None:
        self._series, self._prices, self._settings = series, prices, settings
        # The capability `market` counts what this process maps; a second reader counts apart.
        self._markets: MappedMarkets | None = (
            None if objects is None else markets_of(objects, platform, CollectorRegistry())
        )

    def parse(self, sent: Sent) -> MarkowitzWork | Unresolved:
        """Read a body.

        Raises:
            Problem: 422.
        """
        document = document_of(sent.body, self._settings)
        reference = _named(document)
        if reference is None:
            return MarkowitzWork(problem_of(document, self._settings), sent.body)
        return Unresolved(lambda _: None, lambda account_id: self._filled(document, reference, account_id))

    async def _filled(self, document: dict[str, Any], reference: _Reference, account_id: int) -> MarkowitzWork:
        origin: Origin | None = None
        if isinstance(reference.form, DatasetForm):
            values, names, origin = await self._from_dataset(reference, reference.form, account_id)
        else:
            values, names = await self._from_symbols(reference, reference.form, account_id), reference.form.symbols
        return await asyncio.to_thread(self._whole, document, reference.member, values, names, origin)

    def _whole(
        self, document: dict[str, Any], member: str, values: Floats, names: list[str], origin: Origin | None
    ) -> MarkowitzWork:
        kept = {name: value for name, value in document.items() if name not in {"dataset", "symbols", *MEMBERS}}
        whole = {"assets": names, **kept, member: values.tolist()}
        work = problem_of(whole, self._settings)
        return MarkowitzWork(work, orjson.dumps(whole), origin)

    async def _from_dataset(
        self, reference: _Reference, form: DatasetForm, account_id: int
    ) -> tuple[Floats, list[str], Origin]:
        columns = (form.columns,) if isinstance(form.columns, str) else form.columns
        wanted = SeriesReference(
            form.dataset,
            None if form.series is None else tuple(form.series),
            None if columns is None else tuple(columns),
        )
        bounds = SeriesBounds(self._settings.max_assets, self._settings.max_periods)
        found = await self._series.find(account_id, wanted, bounds, reference.root)
        values, names = _columns(found, reference.at)
        return values, names, found.origin

    async def _from_symbols(self, reference: _Reference, form: SymbolsForm, account_id: int) -> Floats:
        if len(form.symbols) > self._settings.max_assets:
            most = self._settings.max_assets
            raise problems.invalid(FieldError(f"{reference.root}/symbols", f"At most {most} symbols are taken."))
        located = await self._prices.locate(account_id, form.symbols, Interval(form.interval))
        missing = [(i, each) for i, each in enumerate(form.symbols) if each not in located]
        if missing or self._markets is None:
            raise problems.invalid(
                *(
                    FieldError(
                        f"{reference.root}/symbols/{i}",
                        f"There are no {form.interval} bars of {name[:64]!r}. GET /symbols lists what there is.",
                    )
                    for i, name in missing[:10] or [(0, form.symbols[0])]
                )
            )
        try:
            bars = [await self._markets.bars(located[each], Adjust.ALL) for each in form.symbols]
        except (BarsUnavailable, VersionGone) as error:
            raise problems.dependencies_gone("The store of prices") from error
        return await asyncio.to_thread(_common, form, reference.at, bars)


def _named(document: dict[str, Any]) -> _Reference | None:
    for member in MEMBERS:
        value = document.get(member)
        if isinstance(value, dict):
            at = f"/{member}"
            if member == "prices" and "symbols" in value:
                return _Reference(member, at, at, validated(SymbolsForm.model_validate, value, (member,)))
            return _Reference(member, at, at, validated(DatasetForm.model_validate, value, (member,)))
    if isinstance(document.get("dataset"), str):
        return _Reference("returns", "/dataset", "", read_form(DatasetForm, {"dataset": document["dataset"]}))
    if isinstance(document.get("symbols"), list):
        return _Reference("prices", "/symbols", "", read_form(SymbolsForm, {"symbols": document["symbols"]}))
    return None


def _columns(found: FoundSeries, at: str) -> tuple[Floats, list[str]]:
    """[T, n], one column per asset, and their names; periods in which one is missing are left out."""
    parts, names = [], []
    for name, values in zip(found.names, found.values, strict=True):
        wide = values.reshape(len(values), -1)
        parts.append(wide)
        names += [name] if wide.shape[1] == 1 else [f"{name}/{j}" for j in range(wide.shape[1])]
    lengths = {len(each) for each in parts}
    if len(lengths) != 1:
        detail = f"Has series of different lengths, {min(lengths)} to {max(lengths)}: name those of the same periods."
        raise problems.invalid(FieldError(at, detail))
    table: Floats = np.hstack(parts)
    return table[~np.isnan(table).any(axis=1)], names


def _common(form: SymbolsForm, at: str, bars: list[Any]) -> Floats:
    """[T, n]: closing prices at the times that all symbols have."""
    times = bars[0].timestamps
    for each in bars[1:]:
        times = np.intersect1d(times, each.timestamps, assume_unique=True)
    columns = [each.close[np.searchsorted(each.timestamps, times)] for each in bars]
    values: Floats = np.column_stack(columns)
    values = values[~np.isnan(values).any(axis=1)]
    if form.last is not None:
        values = values[-form.last :]
    if len(values) < 3:
        raise problems.invalid(FieldError(at, f"The symbols have {len(values)} bars in common; at least 3 are needed."))
    return values

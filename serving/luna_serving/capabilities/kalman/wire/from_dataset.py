"""Observations that a request names: `{"dataset": "sales@3", "series": ["a"], "columns": ["y"]}`.

They are filled into the body, which is then parsed as any other: limits and errors are the same.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
from pydantic import Field

from luna_serving.capabilities.kalman.wire.series import SeriesLimits
from luna_serving.dispatch.series import Origin, SeriesBounds, SeriesReference, SeriesSources
from luna_serving.dispatch.work import Rendered, Unresolved, Work
from luna_serving.wire.forms import validated
from luna_serving.wire.json_values import loads
from luna_serving.wire.problems import FieldError
from luna_serving.wire.strict import StrictModel
from luna_store.quota.debits import Grant

MEMBER: Final = "observations"
# Of answers that are not JSON: the data set, as JSON answers have it.
HEADER: Final = b"luna-dataset"
# A body with series of numbers has no such text, so it is not parsed twice.
_MARK: Final = b'"dataset"'
Parse = Callable[[bytes], Work | Unresolved]


class DatasetSeries(StrictModel):
    """Series of a valid data set of the account."""

    dataset: str = Field(min_length=1, max_length=80, description="`name@version`, a name, or an id.")
    series: list[str] | None = Field(None, min_length=1, description="Their names; all by default.")
    columns: str | list[str] | None = Field(None, description="Columns of numbers; all of the contract by default.")

    def reference(self) -> SeriesReference:
        """What is asked for."""
        columns = (self.columns,) if isinstance(self.columns, str) else self.columns
        return SeriesReference(
            self.dataset,
            None if self.series is None else tuple(self.series),
            None if columns is None else tuple(columns),
        )


@dataclass(frozen=True, slots=True)
class FromDataset:
    """A call whose answer says which data set it used."""

    work: Work
    origin: Origin

    @property
    def units(self) -> int:
        """As of the call with the series in it, as all that follow."""
        return self.work.units

    @property
    def grant(self) -> Grant | None:
        """The grant."""
        return self.work.grant

    @property
    def amounts(self) -> Mapping[str, int]:
        """The amounts."""
        return self.work.amounts

    @property
    def points(self) -> int:
        """The points."""
        return self.work.points

    @property
    def job(self) -> Any:  # noqa: ANN401  the call's own
        """The job."""
        return self.work.job

    def limit_error(self, limit: str, most: int) -> FieldError:
        """The error."""
        return self.work.limit_error(limit, most)

    def finish(self, result: Any) -> bytes | Rendered:  # noqa: ANN401  the call's own
        """The answer, with `dataset` in front; where it is not JSON, in a header."""
        body = self.work.finish(result)
        if isinstance(body, Rendered):
            return replace(body, headers=[*body.headers, (HEADER, orjson.dumps(self.origin.as_dict()))])
        return b'{"dataset":' + orjson.dumps(self.origin.as_dict()) + b"," + body[1:]


class NamedSeries:
    """Fills series into requests that name them."""

    def __init__(self, sources: SeriesSources, limits: SeriesLimits) -> None:
        self._sources = sources
        self._bounds = SeriesBounds(limits.max_series_per_request, limits.max_series_length)

    def resolving(self, parse: Parse) -> Parse:
        """A parser of calls that may name their series."""

        def parsed(body: bytes) -> Work | Unresolved:
            document = named(body)
            if document is None:
                return parse(body)
            reference = reference_of(document)
            return Unresolved(lambda _: None, lambda account_id: self._work(parse, document, reference, account_id))

        return parsed

    async def filled(self, account_id: int, body: bytes) -> tuple[bytes, Origin | None]:
        """A body with the series that it names, and where they are from; the same where it names none.

        Raises:
            Problem: 422, 503.
        """
        document = named(body)
        if document is None:
            return body, None
        return await self._filled(document, reference_of(document), account_id)

    async def _work(self, parse: Parse, document: dict[str, Any], reference: SeriesReference, account_id: int) -> Work:
        body, origin = await self._filled(document, reference, account_id)
        work = await asyncio.to_thread(parse, body)
        if isinstance(work, Unresolved):
            work = work.at_hand(account_id) or await work.look_up(account_id)
        return FromDataset(work, origin)

    async def _filled(
        self, document: dict[str, Any], reference: SeriesReference, account_id: int
    ) -> tuple[bytes, Origin]:
        found = await self._sources.find(account_id, reference, self._bounds, f"/{MEMBER}")
        # NaN becomes null, as callers write a missing value.
        whole = document | {MEMBER: list(found.values)}
        return await asyncio.to_thread(orjson.dumps, whole, option=orjson.OPT_SERIALIZE_NUMPY), found.origin


def named(body: bytes) -> dict[str, Any] | None:
    """The parsed body, if its observations name a data set; None for any other, which is parsed as ever."""
    if _MARK not in body:
        return None
    try:
        document = loads(body)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) and isinstance(document.get(MEMBER), dict) else None


def reference_of(document: dict[str, Any]) -> SeriesReference:
    """Which series a body names.

    Raises:
        Problem: 422.
    """
    return validated(DatasetSeries.model_validate, document[MEMBER], (MEMBER,)).reference()

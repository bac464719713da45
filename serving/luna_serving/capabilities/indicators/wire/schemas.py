"""The wire schemas of `/indicators`."""

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from luna_serving.wire.strict import StrictModel

Value = int | float | str
EXAMPLE: Final[dict[str, Any]] = {
    "symbols": ["AAPL", "MSFT"],
    "indicators": [
        {"id": "fast", "name": "ema", "params": {"period": 12}},
        {"id": "slow", "name": "ema", "params": {"period": 26}},
    ],
    "interval": "1d",
    "start": "2012-12-03",
}


class IndicatorOrder(StrictModel):
    """One indicator."""

    id: Annotated[
        str | None, Field(min_length=1, max_length=64, description="Names it in the answer; by default its name.")
    ] = None
    name: str = Field(
        min_length=1, max_length=80, description="Of the catalogue; of an own indicator with `custom:` before it."
    )
    params: dict[Annotated[str, Field(max_length=64)], Value] = Field(
        {}, max_length=16, description="Defaults are TA-Lib's; `anchor` and `benchmark` where they apply."
    )


class IndicatorsForm(StrictModel):
    """A call without its inline bars."""

    symbols: Annotated[list[str], Field(min_length=1, description="Of the market, or of the data set.")] | None = None
    dataset: (
        Annotated[
            str,
            Field(min_length=1, max_length=128, description="An own data set of type ohlcv: id, name@version or name."),
        ]
        | None
    ) = None
    indicators: list[IndicatorOrder] = Field(min_length=1)
    interval: str | None = Field(None, description="1m, 5m, 15m, 30m, 1h, 2h, 4h, 1d (default), 1w or 1mo.")
    start: str | None = Field(None, description="First bar shown, inclusive: a date or time of ISO 8601, UTC.")
    end: str | None = Field(None, description="Last bar shown, inclusive.")
    adjust: str | None = Field(None, description="none, splits (default) or all.")
    as_of: str | None = Field(None, description="Answers as the data stood then.")
    gaps: str | None = Field(None, description="skip (default), propagate or restart.")
    benchmark: (
        Annotated[
            str, Field(min_length=1, max_length=64, description="For beta, correl and kalman_beta that name none.")
        ]
        | None
    ) = None


class InlineColumns(BaseModel):
    """Bars of the request itself: lists of one length."""

    timestamp: list[str] = Field(description="Start of each bar, increasing.")
    open: list[float | None] | None = None
    high: list[float | None] | None = None
    low: list[float | None] | None = None
    close: list[float | None] | None = None
    volume: list[float | None] | None = None


class IndicatorsRequest(IndicatorsForm):
    """Many indicators of many instruments. Give one of `symbols`, `bars` and `dataset`; symbols may choose of a set."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    bars: InlineColumns | None = Field(None, description="Inline bars; null is a gap.")
    benchmark_bars: InlineColumns | None = Field(None, description="Of the benchmark, with inline bars.")


class IndicatorResult(BaseModel):
    """One indicator of one instrument."""

    id: str
    symbol: str | None = Field(description="null for inline bars.")
    name: str
    params: dict[str, Value] = Field(description="With defaults.")
    timestamps: list[str] = Field(description="Start of each bar, UTC: dates, or times of intraday bars.")
    values: dict[str, list[float | None]] = Field(description="By output; null where there is no value.")
    lookback: int = Field(description="Leading nulls of the full history.")
    warmup_bars: int = Field(description="Bars of history before the first bar shown.")
    stability: str = Field(description="exact, window, converging or cumulative.")
    adjust: str
    data_version: int | None = Field(description="Of the market; null for inline bars.")
    last_bar_closed: bool | None = Field(description="Whether the last bar can no longer change.")


class ItemError(BaseModel):
    """A pair of indicator and instrument that was not answered, and not charged."""

    id: str
    symbol: str | None
    type: str
    detail: str
    pointer: str | None = Field(None, description="Into the body, where the body is at fault.")


class IndicatorsAnswer(BaseModel):
    """Results by instrument, then by indicator, in the order of the request."""

    results: list[IndicatorResult]
    errors: list[ItemError]


class CatalogueParameter(BaseModel):
    """A parameter."""

    name: str
    type: str
    default: Value | None
    min: float | None
    max: float | None


class CatalogueEntry(BaseModel):
    """An indicator."""

    name: str
    title: str
    group: str
    inputs: list[str]
    parameters: list[CatalogueParameter]
    outputs: list[str]
    lookback: str = Field(description="The rule, in the names of parameters.")
    stability: str
    benchmark: bool = Field(description="Whether it takes a second instrument.")


class CatalogueAnswer(BaseModel):
    """All indicators."""

    indicators: list[CatalogueEntry]

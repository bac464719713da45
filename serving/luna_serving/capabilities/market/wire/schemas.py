"""The schemas of answers, for the OpenAPI document and for `/symbols`."""

from datetime import date

from pydantic import BaseModel, Field

from luna_serving.prices.intervals import Interval
from luna_serving.prices.located import ActionKind, Adjust, CorporateAction, Instrument


class Action(BaseModel):
    """A corporate action; a split has a ratio, a dividend an amount."""

    ex_date: date = Field(description="It has its effect before the open of this day.")
    kind: ActionKind
    ratio: float | None = Field(None, description="New shares for one old share: 2.0 for 2:1.")
    amount: float | None = Field(None, description="Cash per share, for shares as they were the day before.")

    @classmethod
    def of(cls, action: CorporateAction) -> "Action":
        """Show an action."""
        if action.kind is ActionKind.SPLIT:
            return cls(ex_date=action.ex_date, kind=action.kind, ratio=action.value)
        return cls(ex_date=action.ex_date, kind=action.kind, amount=action.value)


class Symbol(BaseModel):
    """An instrument."""

    symbol: str
    name: str | None
    exchange: str | None
    currency: str | None
    type: str | None
    intervals: list[Interval]
    first: str = Field(description="Start of the first bar: a date, or for intraday bars a date and time in UTC.")
    last: str = Field(description="Start of the last bar.")
    bars: int = Field(description="Of all intervals.")
    data_version: int = Field(description="Version of the market.")
    own: bool = Field(description="Whether it is of a data set of the account.")

    @staticmethod
    def members(instrument: Instrument) -> dict[str, object]:
        """Show an instrument."""
        intraday = any(each.intraday for each in instrument.intervals)

        def shown(when: object) -> str:
            text = str(when)
            return text.replace(" ", "T").replace("+00:00", "Z") if intraday else text[:10]

        return {
            "symbol": instrument.symbol,
            "name": instrument.name,
            "exchange": instrument.exchange,
            "currency": instrument.currency,
            "type": instrument.type,
            "intervals": [each.value for each in instrument.intervals],
            "first": shown(instrument.first),
            "last": shown(instrument.last),
            "bars": instrument.bars,
            "data_version": instrument.data_version,
            "own": instrument.own,
        }


class SymbolDetail(Symbol):
    """An instrument with its corporate actions."""

    corporate_actions: list[Action]


class SymbolPage(BaseModel):
    """A page of instruments."""

    items: list[Symbol]
    next_cursor: str | None


class Values(BaseModel):
    """Columns of bars; a missing value is null."""

    open: list[float | None]
    high: list[float | None]
    low: list[float | None]
    close: list[float | None]
    volume: list[float | None]


class DatasetUsed(BaseModel):
    """The data set that bars are from."""

    name: str
    version: int
    digest: str


class Result(BaseModel):
    """The bars of a symbol."""

    symbol: str
    interval: Interval
    adjust: Adjust
    data_version: int
    last_bar_closed: bool = Field(description="Whether the last bar of the history can no longer change.")
    dataset: DatasetUsed | None = Field(None, description="Of an account's own bars.")
    timestamps: list[str] = Field(description="Starts of bars: dates, or for intraday bars dates and times in UTC.")
    values: Values


class NotAnswered(BaseModel):
    """A symbol that was not answered."""

    symbol: str
    type: str
    detail: str


class PricesAnswer(BaseModel):
    """Bars of symbols."""

    results: list[Result]
    errors: list[NotAnswered]
    next_cursor: str | None

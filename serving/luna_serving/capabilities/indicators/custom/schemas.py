"""The wire schemas of custom indicators."""

from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from luna_serving.wire.strict import StrictModel

EXPRESSION: Final = "ema(close, 12) - ema(close, 26)"
EXAMPLE: Final[dict[str, Any]] = {
    "name": "spread",
    "expression": EXPRESSION,
    "indicators": ["ema"],
    "lookback": 25,
    "stability": "converging",
    "created_at": "2026-11-21T12:00:00Z",
    "changed_at": "2026-11-21T12:00:00Z",
}


class PutIndicator(StrictModel):
    """An expression to keep."""

    expression: str = Field(
        min_length=1,
        max_length=2_000,
        description="Columns (open, high, low, close, volume), numbers, + - * /, comparisons, and, or, not, `where`, "
        "`lag`, `cross_over`, `cross_under`, and indicators of the catalogue (docs/indicators.md).",
        examples=[EXPRESSION],
    )


class CustomIndicatorAnswer(BaseModel):
    """A custom indicator."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    name: str = Field(description="Called as `custom:<name>`.")
    expression: str = Field(description="As it was put.")
    indicators: list[str] = Field(description="Those in it, each of which the account must be granted.")
    lookback: int = Field(description="Leading nulls of a history without gaps.")
    stability: str
    created_at: datetime
    changed_at: datetime


class CustomPage(BaseModel):
    """The account's indicators by name."""

    indicators: list[CustomIndicatorAnswer]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")

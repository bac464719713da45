"""The wire schemas of `POST /blackscholes`."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from luna_serving.engines.finance.blackscholes.api.names import OUTPUTS
from luna_serving.wire.strict import StrictModel

EXAMPLE: dict[str, Any] = {
    "options": {
        "type": ["call", "put"],
        "spot": 100,
        "strike": [90, 110],
        "rate": 0.05,
        "dividend_yield": 0.02,
        "volatility": 0.2,
        "expiry": 1.0,
    },
    "style": "european",
    "outputs": ["price", "delta", "gamma"],
}
DayCount = Literal["act/365", "act/360", "act/act", "30/360"]
Style = Literal["european", "american"]
OutputName: TypeAlias = Literal[OUTPUTS]  # type: ignore[valid-type]


@dataclass(frozen=True, slots=True)
class ColumnOf:
    """In `Annotated[Any, ...]`: a value for all rows, or a list with one per row. `reading` checks it."""

    item: Any
    """Its JSON schema."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """How pydantic checks it: not at all."""
        return core_schema.any_schema()

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """How OpenAPI describes it."""
        return {"anyOf": [self.item, {"type": "array", "items": self.item, "minItems": 1}]}


_NUMBER = ColumnOf({"type": "number"})


class OptionColumns(StrictModel):
    """Columns of options: each a value for all rows, or a list with one value per row."""

    type: Annotated[Any, ColumnOf({"enum": ["call", "put"]})]
    spot: Annotated[Any, _NUMBER, Field(description="Price of the underlying; or `forward`.")] = None
    forward: Annotated[Any, _NUMBER, Field(description="Forward price for the expiry (Black 1976).")] = None
    strike: Annotated[Any, _NUMBER]
    rate: Annotated[Any, _NUMBER, Field(description="Per year, continuously compounded.")] = 0.0
    dividend_yield: Annotated[Any, _NUMBER, Field(description="As the rate; not beside `forward`.")] = None
    volatility: Annotated[Any, _NUMBER, Field(description="Per square root of a year; or `price`.")] = None
    price: Annotated[Any, _NUMBER, Field(description="Gives the implied volatility.")] = None
    expiry: Annotated[
        Any,
        ColumnOf({"anyOf": [{"type": "number"}, {"type": "string", "format": "date"}]}),
        Field(description="Years; or dates, with `valuation_date`."),
    ]
    valuation_date: str | None = Field(None, description="The day from which dates count.")
    day_count: DayCount = Field("act/365", description="How dates become years.")


class PricingRequest(StrictModel):
    """Evaluate options."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    options: OptionColumns
    style: Style = "european"
    outputs: list[OutputName] | None = Field(
        None, min_length=1, description="By default the price; the implied volatility where prices are given."
    )


class PricingPlan(BaseModel):
    """How it was computed."""

    rows: int
    style: str
    method: str
    outputs: list[str]


class PricingAnswer(BaseModel):
    """Columns of answers."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "results": {"price": [15.1, 12.7], "delta": [0.75, -0.6], "gamma": [0.013, 0.018]},
                    "codes": [None, None],
                    "plan": {
                        "rows": 2,
                        "style": "european",
                        "method": "closed_form",
                        "outputs": ["price", "delta", "gamma"],
                    },
                }
            ]
        }
    )

    results: dict[str, list[float | None]] = Field(description="A list per output; null where a row has no answer.")
    codes: list[str | None] = Field(
        description="Why a row has no answer, or not all of it: `invalid`, `expired`, `below_intrinsic`, "
        "`above_maximum`, `double_boundary`, `undefined`."
    )
    plan: PricingPlan

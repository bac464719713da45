"""Numbers as requests have them."""

from typing import Annotated, Final, Literal

from pydantic import Field

# Larger numbers overflow where paths are exponentials.
LARGEST: Final = 1e12

Finite = Annotated[float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, le=LARGEST, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, le=LARGEST, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=-10.0, le=10.0, allow_inf_nan=False)]
Volatility = Annotated[float, Field(ge=0.0, le=10.0, allow_inf_nan=False)]
Correlation = Annotated[float, Field(ge=-1.0, le=1.0, allow_inf_nan=False)]
Level = Annotated[float, Field(gt=0.5, lt=1.0, allow_inf_nan=False)]
OptionType = Literal["call", "put"]

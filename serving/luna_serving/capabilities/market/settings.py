"""The settings of market data: LUNA_MARKET_<FIELD>."""

from pydantic import Field

from luna_serving.settings import CapabilitySettings


class MarketSettings(CapabilitySettings):
    """The server's market, and prices over HTTP ([market](market.md))."""

    fresh_s: float = Field(
        1.0,
        ge=0,
        le=60,
        description="Seconds that an ingress replica uses again where a symbol's bars are; a new version is seen "
        "within this time.",
    )
    max_symbols: int = Field(1000, gt=0, le=10_000, description="Symbols in one call; more are answered 422.")
    max_bars: int = Field(
        1_000_000,
        gt=0,
        le=10_000_000,
        description="Bars in one answer; more come page by page. 56 bytes each in binary forms, about 100 in JSON.",
    )
    versions_days: float = Field(
        30.0, ge=0, le=36_500, description="Days that a version stays readable by `as_of` after the next one came."
    )
    unfinished_hours: float = Field(
        24.0, gt=0, le=24 * 30, description="Hours after which an import that never ended is removed."
    )
    sweep_s: float = Field(600.0, gt=0, description="Seconds between two runs of retention.")
    sweep_grace_s: float = Field(
        3600.0,
        ge=0,
        description="Seconds that an object of the market which no version names is left alone.",
    )

"""The settings of the Black-Scholes capability: LUNA_BLACKSCHOLES_<FIELD>."""

from pydantic import Field

from luna_serving.settings import ReplicaSettings


class BlackScholesSettings(ReplicaSettings):
    """Prices, Greeks and implied volatilities."""

    max_rows: int = Field(2_000_000, gt=0, description="Options of one request or job; more are answered 422.")
    max_body_bytes: int = Field(
        64 * 1024 * 1024,
        gt=0,
        description="Bytes of a body, in place of LUNA_EDGE_MAX_BODY_BYTES: a million options take 24 MB as Arrow.",
    )
    compile_ahead: bool = Field(
        True,
        description="Whether a replica is ready only when all programs are compiled, which takes seconds of all cores. "
        "If not, it compiles them meanwhile, and the first calls wait.",
    )

"""Names of styles, outputs and codes; imports neither JAX nor NumPy."""

from typing import Final

from luna_serving.engines.finance.blackscholes.rows import RowCode

__all__ = ["AMERICAN", "BOUNDARY", "DIGITAL", "EUROPEAN", "GREEKS", "IMPLIED", "OF_AMERICAN", "OF_EUROPEAN"]
__all__ += ["OUTPUTS", "PRICE", "STYLES", "RowCode"]

GREEKS: Final = (
    "delta",
    "gamma",
    "vega",
    "theta",
    "rho",
    "rho_q",
    "vanna",
    "volga",
    "charm",
    "veta",
    "speed",
    "zomma",
    "color",
    "ultima",
    "dual_delta",
    "dual_gamma",
)
PRICE: Final = "price"
IMPLIED: Final = "implied_volatility"
DIGITAL: Final = "digital"
BOUNDARY: Final = "exercise_boundary"
EUROPEAN: Final = "european"
AMERICAN: Final = "american"
STYLES: Final = (EUROPEAN, AMERICAN)
OF_EUROPEAN: Final = (PRICE, *GREEKS, DIGITAL, IMPLIED)
OF_AMERICAN: Final = (PRICE, "delta", "gamma", "theta", BOUNDARY)
OUTPUTS: Final = (*OF_EUROPEAN, BOUNDARY)

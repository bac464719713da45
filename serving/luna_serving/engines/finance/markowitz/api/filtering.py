"""Expected returns by the Kalman filter. Loads JAX."""

from luna_serving.engines.finance.markowitz.moments.filtered_means import filtered

__all__ = ["filtered"]

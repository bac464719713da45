"""Evaluates columns of options."""

from luna_serving.engines.finance.blackscholes.batch import Answer, Engine, Options, warm_up
from luna_serving.engines.finance.blackscholes.rows import RowCode
from luna_serving.engines.statespace.process.jax_process import configure_jax

__all__ = ["Answer", "Engine", "Options", "RowCode", "configure_jax", "warm_up"]

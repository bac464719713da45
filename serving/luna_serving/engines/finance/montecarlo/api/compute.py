"""Pilots, blocks and pictures."""

from luna_serving.engines.finance.montecarlo.blocks import compute, pilot
from luna_serving.engines.finance.montecarlo.pictures import pictures

__all__ = ["compute", "pictures", "pilot"]

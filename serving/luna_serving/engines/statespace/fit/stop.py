"""Why a fit ended."""

from enum import StrEnum, auto


class Stop(StrEnum):
    """Why a search, or the fit of a series, ended. Words for people belong to the capability that answers them."""

    FLAT = auto()
    """No component of the gradient exceeds the tolerance."""
    NO_IMPROVEMENT = auto()
    """No step lowers the objective by more than rounding, or the last steps together gained next to nothing."""
    ITERATION_LIMIT = auto()
    DEADLINE = auto()
    NO_MAXIMUM = auto()
    """The likelihood grows without bound: the model explains the series exactly."""
    TOO_FEW_OBSERVATIONS = auto()
    """Fewer than the parameters and the diffuse states together; nothing was searched."""
    NOT_FINITE = auto()
    """The likelihood is not finite at any start."""

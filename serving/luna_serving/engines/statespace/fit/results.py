"""What a fit answers, one object per series."""

from dataclasses import dataclass
from typing import Any, Literal

from luna_serving.engines.statespace.fit.stop import Stop

Method = Literal["mle", "em"]


class NoClosedForm(ValueError):
    """A parameter that EM cannot estimate. `name` says which."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.message = message


@dataclass(frozen=True, slots=True)
class SeriesFit:
    """The estimates for one series; where none was reached, the values are None."""

    estimates: dict[str, float | None]
    standard_errors: dict[str, float | None]
    """None at a bound, where the information is singular, and where time was out."""
    at_bound: tuple[str, ...]
    """Estimates on the edge of what they may be: a variance of zero, a unit root."""
    loglike: float | None
    aic: float | None
    bic: float | None
    iterations: int
    """Iterations of the search that found the estimates."""
    evaluations: int
    """Evaluations of the log-likelihood, over all searches and the places looked at before them."""
    converged: bool
    why_stopped: Stop
    starts: int
    """Searches that were made."""
    agreed: int
    """Searches that ended with this log-likelihood, to 1e-4."""
    fields: dict[str, Any] | None
    """The model's wire fields with the estimates in them."""

"""A portfolio problem as the edge sends it to a replica."""

from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Self

from luna_serving.engines.finance.markowitz.api.problems import Constraints, Floats, Objective, View

EstimatorKind = Literal["sample", "ledoit_wolf", "oas", "ewm", "black_litterman", "kalman"]
ObjectiveName = Literal[
    "max_sharpe",
    "min_variance",
    "target_return",
    "target_risk",
    "risk_parity",
    "hrp",
    "min_cvar",
    "efficient_frontier",
]
EXACT: Final = frozenset({"max_sharpe", "min_variance", "target_return", "target_risk", "efficient_frontier"})
# CPU-seconds, measured: of a critical line per cube of assets, of a conic solution and its polish per cube of
# variables, of a scenario of a linear program per asset, of a Kalman fit.
LINES_S: Final = 3e-9
CONE_S: Final = 1.5e-8
SCENARIO_S: Final = 4e-6
FIT_S: Final = 0.05
# A process may have to compile the fit's programs first, so it never counts as quick.
FITS_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Market:
    """What a Black-Litterman estimate starts from."""

    weights: Floats
    risk_aversion: float
    tau: float
    views: tuple[View, ...]


@dataclass(frozen=True, slots=True)
class Estimator:
    """How means and covariances come from returns."""

    kind: EstimatorKind
    decay: float = 0.94
    """Of `ewm`."""
    covariance: Literal["sample", "ledoit_wolf", "oas"] = "sample"
    """Of `black_litterman` from returns."""
    market: Market | None = None


@dataclass(frozen=True, slots=True)
class PortfolioJob:
    """One problem."""

    objective_name: ObjectiveName
    objective: Objective | None
    """None for the frontier; of `min_cvar` without its scenarios, which are `returns`."""
    level: float
    limits: Constraints
    bounds_given: bool
    """Whether the body has bounds; the default ones are named in no error."""
    risk_free: float
    points: int
    estimator: Estimator
    member: str
    """Of the body, with the data: `returns`, `prices` or `cov`."""
    returns: Floats | None = None
    """[T, n]"""
    mean: Floats | None = None
    """[n], where the body has moments."""
    cov: Floats | None = None
    """[n, n]"""
    names: tuple[str, ...] | None = None
    """Of the assets."""
    time_left_s: float | None = None

    def within(self, left_s: float) -> Self:
        """The problem of a call that has so many seconds left."""
        return replace(self, time_left_s=left_s)

    @property
    def knows_means(self) -> bool:
        """Whether there are expected returns; some objectives need none."""
        return self.returns is not None or self.mean is not None or self.estimator.market is not None

    @property
    def assets(self) -> int:
        """N."""
        return len(self.limits.lower)

    @property
    def periods(self) -> int | None:
        """T, where there are returns."""
        return None if self.returns is None else len(self.returns)

    @property
    def method(self) -> str:
        """How the problem is solved."""
        if self.objective_name in EXACT:
            return "critical_line" if self.limits.only_bounds else "clarabel_polished"
        return {"risk_parity": "newton", "hrp": "recursive_bisection"}.get(self.objective_name, "linear_program")

    @property
    def seconds(self) -> float:
        """CPU-seconds that it takes, estimated."""
        n, periods = self.assets, self.periods or 0
        variables = n * (1 if self.limits.turnover is None else 2)
        one = LINES_S * n**3 + 1e-4 * n if self.limits.only_bounds else CONE_S * variables**3 + 2e-4 * n
        if self.limits.tracking is not None:
            one *= 4
        if self.objective_name == "efficient_frontier" and not self.limits.only_bounds:
            curved = self.limits.turnover is not None or self.limits.tracking is not None
            one *= self.points if curved else 1 + n / 8
        if self.objective_name == "min_cvar":
            one += SCENARIO_S * periods * n + 6e-7 * periods**1.5
        fits = FITS_S + FIT_S * n if self.estimator.kind == "kalman" else 0.0
        return one + 1e-9 * periods * n**2 + fits

    @property
    def plan(self) -> dict[str, Any]:
        """How it is computed, as answers say it."""
        plan: dict[str, Any] = {"objective": self.objective_name, "method": self.method, "assets": self.assets}
        if self.returns is not None:
            plan |= {"estimator": self.estimator.kind, "periods": self.periods}
        elif self.estimator.kind == "black_litterman":
            plan["estimator"] = self.estimator.kind
        return plan

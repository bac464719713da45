"""Turns the engine's refusals into errors that point into the body."""

from collections.abc import Sequence
from typing import Final

from luna_serving.capabilities.markowitz.job import PortfolioJob
from luna_serving.dispatch.outcomes import Refused
from luna_serving.engines.finance.markowitz.api.problems import (
    Infeasible,
    NoExcessReturn,
    NotPositiveSemidefinite,
    Place,
    Riskless,
    Undetermined,
)

Refusal = Infeasible | NoExcessReturn | NotPositiveSemidefinite | Riskless | Undetermined
REFUSALS: Final = (Infeasible, NoExcessReturn, NotPositiveSemidefinite, Riskless, Undetermined)
# Constraints of a conflict that are listed.
MOST_LISTED: Final = 100
# Assets up to which the nearest covariance is sent back.
MOST_SENT: Final = 200
CONSTRAINTS: Final = "/constraints"


def refused(error: Refusal, job: PortfolioJob) -> Refused:
    """The refusal of a problem."""
    match error:
        case Infeasible():
            return _infeasible(error, job)
        case NoExcessReturn(best=best):
            detail = (
                f"No portfolio is expected to return more than {job.risk_free:.6g}: the best returns {best:.6g}. "
                "Lower risk_free, or ask for min_variance."
            )
            return Refused("/risk_free", detail, facts={"best_expected_return": best})
        case Riskless():
            detail = "A portfolio without risk returns more, so the ratio of Sharpe has no maximum. Raise risk_free."
            return Refused("/risk_free", detail)
        case NotPositiveSemidefinite(eigenvalue=eigenvalue, nearest=nearest):
            detail = (
                f"Is not positive semidefinite: its smallest eigenvalue is {eigenvalue:.6g}. "
                "Send the nearest such matrix, which `nearest` holds, or one that was estimated from returns."
            )
            facts = {"eigenvalue": eigenvalue}
            return Refused(
                "/cov", detail, facts=facts | ({"nearest": nearest.tolist()} if job.assets <= MOST_SENT else {})
            )
        case Undetermined(member=member, message=message):
            return Refused(f"/{job.member if member in {'cov', 'returns'} else member}", message)


def pointer_of(place: Place) -> str:
    """The JSON pointer of a constraint."""
    match place.kind:
        case "bounds":
            return f"{CONSTRAINTS}/bounds/{place.index}/{0 if place.side == 'min' else 1}"
        case "groups":
            return f"{CONSTRAINTS}/groups/{place.index}/{place.side}"
        case "target":
            return "/target"
        case _:
            return f"{CONSTRAINTS}/{place.kind}/max"


def _infeasible(error: Infeasible, job: PortfolioJob) -> Refused:
    named: Sequence[Place] = [each for each in error.conflict if each.kind != "bounds" or job.bounds_given]
    pointers = [pointer_of(place) for place in named] or [CONSTRAINTS]
    # A target first: it is what a caller changes.
    pointers.sort(key=lambda pointer: pointer != "/target")
    details = [(each, _detail(each, pointers, error, job)) for each in pointers[:MOST_LISTED]]
    first, *others = details
    return Refused(*first, others=tuple(others), facts={"gap": error.gap})


def _detail(pointer: str, pointers: Sequence[str], error: Infeasible, job: PortfolioJob) -> str:
    if job.objective_name in {"risk_parity", "hrp"}:
        return (
            f"The portfolio of {job.objective_name} is determined by the covariance, and violates this by up to "
            f"{error.gap:.6g}. Relax it, or choose another objective."
        )
    others = [each for each in pointers if each != pointer]
    against = _listed(others) if others else "that the weights sum to 1 within their bounds"
    return f"Contradicts {against}: no portfolio satisfies all. They are {error.gap:.6g} apart; relax one by as much."


def _listed(pointers: Sequence[str]) -> str:
    shown = ", ".join(pointers[:3])
    return shown if len(pointers) <= 3 else f"{shown} and {len(pointers) - 3} more"

"""From a contest's end to an answer."""

import numpy as np

from luna_serving.engines.statespace.fit.contest import Contest
from luna_serving.engines.statespace.fit.information import Information
from luna_serving.engines.statespace.fit.results import SeriesFit, WhyStopped
from luna_serving.engines.statespace.recursions.filter import LOG_2PI
from luna_serving.engines.statespace.results.series import Convention


def report(contest: Contest, precision: Information | None, loglike: Convention) -> SeriesFit:
    """The answer for one series. Without `precision` there are no standard errors."""
    subject, wanted = contest.subject, contest.subject.wanted
    if contest.best is None:
        stopped: WhyStopped = "the likelihood is not finite at any start"
        if contest.stop == "deadline" and not contest.evaluations:
            stopped = "deadline"
        return unfit(wanted.names, stopped, contest)
    if contest.stop == "the likelihood has no maximum":
        return unfit(wanted.names, contest.stop, contest)
    values = subject.values(contest.best.x)
    log_likelihood = contest.loglike + (LOG_2PI / 2 * contest.best.diffuse_told if loglike == "kfas" else 0.0)
    errors = precision.standard_errors() if precision is not None else [None] * len(values)
    bound = wanted.at_bound(subject.whole(contest.best.x)) | ~subject.free
    # As statsmodels counts: the free parameters and the states that start diffuse; periods, missing ones included.
    size = len(values) + contest.guess.start.rank
    return SeriesFit(
        estimates=dict(zip(wanted.names, map(float, values), strict=True)),
        standard_errors=dict(zip(wanted.names, errors, strict=True)),
        at_bound=tuple(name for name, here in zip(wanted.names, bound, strict=True) if here),
        loglike=log_likelihood,
        aic=2 * size - 2 * log_likelihood,
        bic=float(np.log(len(subject.y)) * size - 2 * log_likelihood),
        iterations=contest.iterations,
        evaluations=contest.evaluations,
        converged=contest.converged,
        why_stopped=contest.stop,
        starts=len(contest.traces),
        agreed=contest.agreed,
        fields=wanted.fields(values),
    )


def unfit(names: tuple[str, ...], why: WhyStopped, contest: Contest | None = None) -> SeriesFit:
    """The answer where there are no estimates."""
    nothing: dict[str, float | None] = dict.fromkeys(names)
    return SeriesFit(
        estimates=nothing,
        standard_errors=dict(nothing),
        at_bound=(),
        loglike=None,
        aic=None,
        bic=None,
        iterations=contest.iterations if contest else 0,
        evaluations=contest.evaluations if contest else 0,
        converged=False,
        why_stopped=why,
        starts=len(contest.traces) if contest else 0,
        agreed=0,
        fields=None,
    )

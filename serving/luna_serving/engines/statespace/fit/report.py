"""The answer for one series, from the end of its searches."""

import numpy as np

from luna_serving.engines.statespace.fit.multistart import Multistart
from luna_serving.engines.statespace.fit.results import SeriesFit
from luna_serving.engines.statespace.fit.stop import Stop
from luna_serving.engines.statespace.model.observations import LOG_2PI
from luna_serving.engines.statespace.results.series import Convention


def report(multistart: Multistart, loglike: Convention) -> SeriesFit:
    """The answer for one series. Without `multistart.precision` there are no standard errors."""
    objective, space = multistart.objective, multistart.objective.space
    if multistart.best is None:
        stopped = Stop.NOT_FINITE
        if multistart.stop is Stop.DEADLINE and not multistart.evaluations:
            stopped = Stop.DEADLINE
        return unfit(space.names, stopped, multistart)
    if multistart.stop is Stop.NO_MAXIMUM:
        return unfit(space.names, multistart.stop, multistart)
    values = objective.values(multistart.best.x)
    log_likelihood = multistart.loglike + (LOG_2PI / 2 * multistart.best.diffuse_resolved if loglike == "kfas" else 0.0)
    precision = multistart.precision
    errors = precision.standard_errors() if precision is not None else [None] * len(values)
    bound = space.at_bound(objective.whole(multistart.best.x)) | ~objective.free
    # As statsmodels counts: the free parameters and the states that start diffuse; periods, missing ones included.
    size = len(values) + multistart.guess.start.rank
    return SeriesFit(
        estimates=dict(zip(space.names, map(float, values), strict=True)),
        standard_errors=dict(zip(space.names, errors, strict=True)),
        at_bound=tuple(name for name, here in zip(space.names, bound, strict=True) if here),
        loglike=log_likelihood,
        aic=2 * size - 2 * log_likelihood,
        bic=float(np.log(len(objective.y)) * size - 2 * log_likelihood),
        iterations=multistart.iterations,
        evaluations=multistart.evaluations,
        converged=multistart.converged,
        why_stopped=multistart.stop,
        starts=len(multistart.traces),
        agreed=multistart.agreed,
        fields=space.fields(values),
    )


def unfit(names: tuple[str, ...], why: Stop, multistart: Multistart | None = None) -> SeriesFit:
    """The answer where there are no estimates."""
    nothing: dict[str, float | None] = dict.fromkeys(names)
    return SeriesFit(
        estimates=nothing,
        standard_errors=dict(nothing),
        at_bound=(),
        loglike=None,
        aic=None,
        bic=None,
        iterations=multistart.iterations if multistart else 0,
        evaluations=multistart.evaluations if multistart else 0,
        converged=False,
        why_stopped=why,
        starts=len(multistart.traces) if multistart else 0,
        agreed=0,
        fields=None,
    )

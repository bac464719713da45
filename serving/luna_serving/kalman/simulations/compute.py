"""A replica's work for `/kalman/simulate`: a job to the JSON of its answer."""

from collections.abc import Sequence

import numpy as np
import orjson

from luna_serving.ingress.gate import Refused
from luna_serving.kalman.render import OVERFLOW, plan_of
from luna_serving.kalman.simulations.job import SimulateJob
from luna_serving.statespace.checks import ModelError
from luna_serving.statespace.results import BatchReport
from luna_serving.statespace.simulate import Paths, simulate

EXPLODES = "The model's paths overflow float64 within these periods. Check the transition, or draw fewer periods."
UNDETERMINED = (
    "Leaves a state of the diffuse start open, which then has no distribution to draw from. Send more observations, "
    "or give the model a known or stationary start."
)


def simulate_job(job: SimulateJob) -> bytes | Refused:
    """The answer to a job, or why there is none."""
    try:
        return _given(job) if job.series else _free(job)
    except ModelError as e:
        return Refused(f"/model{e.pointer}", e.message)


def _free(job: SimulateJob) -> bytes | Refused:
    paths = simulate(job.model.build(), job.length, job.draws, job.seed, initial_state=job.initial_state)
    if not all(np.isfinite(drawn).all() for drawn in paths):
        return Refused("/model", EXPLODES)
    report = BatchReport("simulation", "float64", "cpu", (job.draws, job.length), 1, ())
    return _answer(job, [paths], report)


def _given(job: SimulateJob) -> bytes | Refused:
    # Imported here: drawing without observations needs no jax.
    from luna_serving.statespace.simulation_smoother import simulate_given

    model = job.model.build()
    batch = simulate_given([(y, model) for y in job.series], job.draws, job.seed, steps=job.steps)
    for i, drawn in enumerate(batch.series):
        if not drawn.finite:
            return Refused(f"/observations/{i}", OVERFLOW)
        if not drawn.determined:
            return Refused(f"/observations/{i}", UNDETERMINED)
    return _answer(job, [drawn.paths for drawn in batch.series], batch.report)


def _answer(job: SimulateJob, series: Sequence[Paths], report: BatchReport) -> bytes:
    results = [{name: _wire(getattr(paths, name), name) for name in job.outputs} for paths in series]
    answer = {"seed": job.seed, "plan": plan_of(report), "results": results}
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def _wire(drawn: np.ndarray[tuple[int, ...], np.dtype[np.float64]], name: str) -> object:
    """One observed thing has no axis of its own, as in the series of a request."""
    return np.ascontiguousarray(drawn[..., 0] if name == "observations" and drawn.shape[2] == 1 else drawn)

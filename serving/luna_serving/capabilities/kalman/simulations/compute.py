"""Computes `/kalman/simulate` in a replica: from a job to the JSON of its answer."""

from collections.abc import Sequence

import numpy as np
import orjson

from luna_serving.capabilities.kalman.jobs.answers import OVERFLOW, plan_of
from luna_serving.capabilities.kalman.simulations.job import SimulateJob
from luna_serving.dispatch.outcomes import Refused
from luna_serving.engines.statespace.api.description import BatchReport, Clock, ModelError, Paths, check, never

EXPLODES = "The model's paths overflow float64 within these periods. Check the transition, or draw fewer periods."
UNDETERMINED = (
    "Leaves a state of the diffuse start open, which then has no distribution to draw from. Send more observations, "
    "or give the model a known or stationary start."
)


def simulate_job(job: SimulateJob, out_of_time: Clock = never) -> bytes | Refused:
    """The answer to a job, or an outcome.

    Raises:
        OutOfTime: `out_of_time` was true between two steps.
    """
    try:
        return _given(job, out_of_time) if job.series else _free(job, out_of_time)
    except ModelError as e:
        return Refused(f"/model{e.pointer}", e.message)


def _free(job: SimulateJob, out_of_time: Clock) -> bytes | Refused:
    # Imported here: a process that only names this deployment needs no JAX.
    from luna_serving.engines.statespace.api.compute import simulate

    paths = simulate(
        job.model.build(),
        job.length,
        job.draws,
        job.seed,
        initial_state=job.initial_state,
        out_of_time=out_of_time,
    )
    if not all(np.isfinite(drawn).all() for drawn in paths):
        return Refused("/model", EXPLODES)
    report = BatchReport("simulation", "float64", "cpu", (job.draws, job.length), 1, ())
    return _answer(job, [paths], report, out_of_time)


def _given(job: SimulateJob, out_of_time: Clock) -> bytes | Refused:
    # Imported here: a process that only names this deployment needs no JAX.
    from luna_serving.engines.statespace.api.compute import simulate_given

    model = job.model.build()
    items = [(y, model) for y in job.series]
    batch = simulate_given(items, job.draws, job.seed, steps=job.steps, out_of_time=out_of_time)
    for i, drawn in enumerate(batch.series):
        if not drawn.finite:
            return Refused(f"/observations/{i}", OVERFLOW)
        if not drawn.determined:
            return Refused(f"/observations/{i}", UNDETERMINED)
    return _answer(job, [drawn.paths for drawn in batch.series], batch.report, out_of_time)


def _answer(job: SimulateJob, series: Sequence[Paths], report: BatchReport, out_of_time: Clock) -> bytes:
    head = orjson.dumps({"seed": job.seed, "plan": plan_of(report)})
    results = b",".join(_result(paths, job.outputs, out_of_time) for paths in series)
    return head[:-1] + b',"results":[' + results + b"]}"


def _result(paths: Paths, outputs: Sequence[str], out_of_time: Clock) -> bytes:
    """The JSON of one series' draws, one draw at a time, because the encoder holds the interpreter lock."""
    members: list[bytes] = []
    for name in outputs:
        drawn = getattr(paths, name)
        # A single observed element has no axis, as in the series of a request.
        drawn = np.ascontiguousarray(drawn[..., 0] if name == "observations" and drawn.shape[2] == 1 else drawn)
        draws: list[bytes] = []
        for draw in drawn:
            check(out_of_time)
            draws.append(orjson.dumps(draw, option=orjson.OPT_SERIALIZE_NUMPY))
        members.append(orjson.dumps(name) + b":[" + b",".join(draws) + b"]")
    return b"{" + b",".join(members) + b"}"

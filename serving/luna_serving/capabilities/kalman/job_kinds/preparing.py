"""Checks the parameters of a job, which are the body of the route of the same name."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from luna_serving.capabilities.kalman.fits.job import FitJob
from luna_serving.capabilities.kalman.fits.wire import parse_fit
from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec
from luna_serving.capabilities.kalman.models.lookup import NamedModels
from luna_serving.capabilities.kalman.simulations.job import SimulateJob
from luna_serving.capabilities.kalman.simulations.wire import parse_simulate
from luna_serving.capabilities.kalman.wire.calls import NamedCall
from luna_serving.capabilities.kalman.wire.from_dataset import NamedSeries
from luna_serving.capabilities.kalman.wire.series import SeriesLimits
from luna_serving.capabilities.kalman.wire.work import KalmanWork
from luna_serving.dispatch.series import Origin
from luna_serving.jobs.kinds import JobPlan, Prepare
from luna_serving.wire.json_values import loads

FIT: Final = "kalman/fit"
SIMULATE: Final = "kalman/simulate"


def preparing(limits: SeriesLimits, named: NamedModels, series: NamedSeries) -> dict[str, Prepare]:
    """What checks the parameters of each kind of job, by its name."""

    async def fit(account_id: int, parameters: bytes) -> JobPlan:
        def parse(body: bytes) -> KalmanWork[FitJob] | NamedCall:
            return parse_fit(limits, body)

        parameters, origin = await series.filled(account_id, parameters)
        work, filled = await _parsed(named, account_id, parameters, parse)
        job: FitJob = work.job
        plan = {"series": len(job.series), "starts": job.starts, "method": job.method}
        return _plan(work, filled, len(job.series), "series", plan, _of(origin))

    async def simulation(account_id: int, parameters: bytes) -> JobPlan:
        def parse(body: bytes) -> KalmanWork[SimulateJob] | NamedCall:
            return parse_simulate(limits, body)

        parameters, origin = await series.filled(account_id, parameters)
        work, filled = await _parsed(named, account_id, parameters, parse)
        job: SimulateJob = work.job
        document = loads(filled)
        if document.get("seed") is None:
            filled = orjson.dumps(document | {"seed": job.seed})
        plan = {"draws": job.draws, "periods": job.periods}
        return _plan(work, filled, 1, "calls", plan, {"seed": job.seed} | _of(origin))

    return {FIT: fit, SIMULATE: simulation}


async def _parsed(
    named: NamedModels, account_id: int, parameters: bytes, parse: Callable[[bytes], Any]
) -> tuple[KalmanWork[Any], bytes]:
    """The parsed parameters, and their JSON with a named model filled in."""
    call = await asyncio.to_thread(parse, parameters)
    if not isinstance(call, NamedCall):
        return call, parameters
    spec = await named.look_up(account_id, call.reference)
    work = await asyncio.to_thread(call.under, spec)
    if not isinstance(work, KalmanWork):
        raise TypeError(f"{type(work).__name__} is no work of a job")
    return work, orjson.dumps(loads(parameters) | {"model": described(spec)})


def _of(origin: Origin | None) -> dict[str, Any]:
    return {} if origin is None else {"dataset": origin.as_dict()}


def described(spec: ModelSpec) -> dict[str, Any]:
    """A model as a request describes it."""
    return {"kind": spec.kind, **spec.fields()}


def _plan(
    work: KalmanWork[Any],
    parameters: bytes,
    total: int,
    unit: str,
    plan: Mapping[str, Any],
    manifest: Mapping[str, Any],
) -> JobPlan:
    return JobPlan(
        units=work.units,
        total=total,
        unit=unit,
        parameters=parameters,
        plan=plan,
        grant=work.grant,
        amounts=work.amounts,
        limit_error=work.limit_error,
        manifest=manifest,
    )

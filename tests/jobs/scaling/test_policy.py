"""How many workers there should be, and what Serve is told of it."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from ray.serve.config import AutoscalingConfig
from tests.jobs.queue.queues import claimed, queued
from tests.store.stores import Store

from luna_serving.deployments import POLICY, cores_reserved, worker_replicas
from luna_serving.jobs.scaling import DEMAND, BacklogPolicy, replicas_for
from luna_serving.jobs.workers import ConnectedWorker, WorkersReplica
from luna_serving.settings import PlatformSettings, WorkersSettings
from luna_store.jobs.demand import demand


@dataclass
class Context:
    target_num_replicas: int = 2
    aggregated_metrics: dict[str, dict[Any, float]] = field(default_factory=dict)


@pytest.mark.parametrize(("jobs", "replicas"), [(0, 0), (1, 1), (16, 1), (16.0000001, 1), (17, 2), (10_000, 625)])
def test_each_job_that_could_run_has_a_slot(jobs: float, replicas: int) -> None:
    assert replicas_for(jobs, 16) == replicas


def test_the_policy_follows_the_demand_and_holds_still_where_it_is_unknown() -> None:
    policy = BacklogPolicy(slots=16)
    assert policy(Context(aggregated_metrics={DEMAND: {"a": 30.0, "b": 40.0}})) == (3, {})
    assert policy(Context(aggregated_metrics={DEMAND: {}})) == (2, {})
    assert policy(Context(target_num_replicas=5)) == (5, {})


def test_workers_scale_only_where_there_is_room_to() -> None:
    assert worker_replicas(WorkersSettings(replicas=2)) == {"num_replicas": 2}
    assert worker_replicas(WorkersSettings(replicas=2, replicas_max=2)) == {"num_replicas": 2}
    config = worker_replicas(WorkersSettings(replicas=1, replicas_max=4, job_slots=8))["autoscaling_config"]
    read = AutoscalingConfig(**config)
    assert (read.min_replicas, read.max_replicas) == (1, 4)
    assert read.policy.policy_function == POLICY
    policy = read.policy.get_policy()(**read.policy.policy_kwargs)
    assert policy(Context(aggregated_metrics={DEMAND: {"a": 17.0}})) == (3, {})


def test_cores_are_reserved_for_the_most_workers() -> None:
    one = PlatformSettings(workers={"replicas": 1, "cpus": 0.5})
    four = PlatformSettings(workers={"replicas": 1, "replicas_max": 4, "cpus": 0.5})
    assert cores_reserved(four, []) - cores_reserved(one, []) == 1.5


async def test_a_worker_tells_the_demand() -> None:
    async def seven() -> float:
        return 7.0

    async def close() -> None: ...

    class Replica(WorkersReplica):
        def __del__(self) -> None: ...

    made = Replica.__new__(Replica)
    await made.__init__(lambda: asyncio.sleep(0, ConnectedWorker((), close, seven)))
    assert await made.record_autoscaling_stats() == {DEMAND: 7.0}


async def test_demand_is_what_accounts_may_run_at_once(store: Store) -> None:
    few, many = await store.account(limits={"jobs.concurrent": 3}), await store.account(limits={"jobs.concurrent": 50})
    assert await demand(store.engine) == 0
    for caller, count in ((few, 10), (many, 5)):
        for _ in range(count):
            await queued(store, caller, units=0)
    assert await demand(store.engine) == 3 + 5
    await claimed(store, 2)
    assert await demand(store.engine) == 3 + 5
    await store.execute("UPDATE jobs SET run_after = now() + interval '1 hour' WHERE status = 'queued'")
    assert await demand(store.engine) == 2
    await store.accounts.update(few.account_id, state="suspended")
    await store.accounts.update(many.account_id, state="suspended")
    assert await demand(store.engine) == 0

"""Jobs of a running Luna, for the tests of this folder."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx

LOCAL_LEVEL = {"kind": "local_level", "obs_var": 15099.0, "level_var": 1469.1}
NILE = [1120.0, 1160.0, 963.0, 1210.0, 1160.0, 1160.0, 813.0, 1230.0, 1370.0, 1140.0]
SIMULATION = {"model": LOCAL_LEVEL, "length": 5, "seed": 7, "initial_state": [1000.0]}
JOBS = "/jobs/"


def simulation(**more: Any) -> dict[str, Any]:
    """A job that takes milliseconds."""
    return {"kind": "kalman/simulate", "parameters": SIMULATION, **more}


def fit(series: int = 2, **more: Any) -> dict[str, Any]:
    """A job that takes as long as its series."""
    observations = [[x + i for x in NILE] for i in range(series)]
    return {"kind": "kalman/fit", "parameters": {"model": LOCAL_LEVEL, "observations": observations}, **more}


async def created(client: httpx.AsyncClient, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    answer = await client.post(JOBS, json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    job: dict[str, Any] = answer.json()
    return job


async def finished(client: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    """A new job's end."""
    return await ended(client, (await created(client, body))["id"])


async def ended(client: httpx.AsyncClient, job_id: str) -> dict[str, Any]:
    for _ in range(6):
        job: dict[str, Any] = (await client.get(f"/jobs/{job_id}", headers={"Prefer": "wait=20"})).json()
        if job["finished_at"] is not None:
            return job
    raise AssertionError(job)


@dataclass
class Event:
    id: int
    event: str
    data: dict[str, Any]


async def events(answer: httpx.Response) -> AsyncIterator[Event]:
    """The events of a stream, by the rules of the HTML standard."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "data" in fields:
            yield Event(int(fields["id"]), fields["event"], json.loads(fields["data"]))
            fields = {}

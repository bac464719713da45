"""The original design, rebuilt from its description: the peer that Luna is measured against.

One FastAPI route with pydantic models, the API key looked up and the quota debited (`DECR`) in Redis through
`redis.asyncio`, and the Kalman filter as a Python loop over the points with NumPy matrices, as textbooks write
it. One uvicorn worker on uvloop and httptools, no batching.

This is what a good engineer writes first, and nothing in it is slow on purpose: one client with a connection
pool for the life of the process and hiredis as its parser, hoisted constants, a division where a 1x1 innovation
variance needs no `inv` (which would cost a third), no access log. The handler is `async def`: the filter holds
the interpreter lock anyway, and FastAPI's thread pool (`def`) was slower. What it lacks is in its design: each
request pays for its own validation, its own two round trips and its own loop.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import numpy as np
from benchmarks.http.series import LEVEL_VAR, OBS_VAR
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from pydantic import BaseModel
from redis.asyncio import Redis

PRIOR_VAR = 1e7


class KalmanRequest(BaseModel):
    """A series; `null` is a missing observation."""

    results: list[float | None]


class KalmanResponse(BaseModel):
    """The filtered state mean at each point, and the series as it came."""

    processed_results: list[float]
    input_data: list[float | None]


class KalmanFilter:
    """A linear Gaussian filter in matrix form, set up as a local level."""

    def __init__(self) -> None:
        self.transition = np.array([[1.0]])
        self.design = np.array([[1.0]])
        self.state_cov = np.array([[LEVEL_VAR]])
        self.obs_cov = np.array([[OBS_VAR]])
        self.identity = np.eye(1)

    def filter(self, series: list[float | None]) -> list[float]:
        """Return the filtered state mean at each point of `series`."""
        f, h, q, r = self.transition, self.design, self.state_cov, self.obs_cov
        mean = np.array([[0.0]])
        cov = np.array([[PRIOR_VAR]])
        means = np.empty(len(series))
        for t, value in enumerate(series):
            mean = f @ mean
            cov = f @ cov @ f.T + q
            if value is not None:
                innovation = np.array([[value]]) - h @ mean
                gain = cov @ h.T / (h @ cov @ h.T + r)
                mean = mean + gain @ innovation
                cov = (self.identity - gain @ h) @ cov
            means[t] = mean[0, 0]
        return means.tolist()


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Hold one Redis client for the life of the process."""
    app.state.redis = Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
    app.state.kalman = KalmanFilter()
    yield
    await app.state.redis.aclose()


app = FastAPI(title="The original design", lifespan=lifespan)


async def authenticated(account_id: int, request: Request, x_api_key: Annotated[str, Header()]) -> int:
    """Return the account that the key belongs to, if it is the one in the path."""
    owner = await request.app.state.redis.get(f"api_key:{x_api_key}")
    if owner is None:
        raise HTTPException(401, "unknown API key")
    if int(owner) != account_id:
        raise HTTPException(403, "this key belongs to another account")
    return account_id


async def debited(account_id: Annotated[int, Depends(authenticated)], request: Request) -> int:
    """Take one unit of the account's quota."""
    redis = request.app.state.redis
    if await redis.decr(f"user:{account_id}:quota") < 0:
        await redis.incr(f"user:{account_id}:quota")
        raise HTTPException(429, "quota exhausted")
    return account_id


@app.post("/api/v1/{account_id}/kalman")
async def kalman(body: KalmanRequest, request: Request, _account: Annotated[int, Depends(debited)]) -> KalmanResponse:
    """Filter one series."""
    return KalmanResponse(processed_results=request.app.state.kalman.filter(body.results), input_data=body.results)


@app.get("/health/ready")
async def ready(request: Request) -> dict[str, Any]:
    """Answer once Redis does."""
    await request.app.state.redis.ping()
    return {"status": "ready"}

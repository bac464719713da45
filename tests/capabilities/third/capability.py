"""A third capability: POST /api/v1/{account_id}/mean. It proves the contract and is not shipped."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import BaseModel, Field
from tests.capabilities.third.replica import MeanJob, MeanReplica

from luna_serving.capabilities.contract import Capability, Platform, Routes
from luna_serving.edge.openapi import describe
from luna_serving.edge.operation import Operation
from luna_serving.settings import ReplicaSettings
from luna_serving.wire.documents import read_object
from luna_serving.wire.forms import validated
from luna_serving.wire.problems import FieldError
from luna_serving.wire.strict import StrictModel
from luna_store.quota.debits import Grant


class MeanSettings(ReplicaSettings):
    max_numbers: int = Field(1000, gt=0, description="Numbers of one call.")


class MeanRequest(StrictModel):
    numbers: list[float] = Field(min_length=1)


class MeanAnswer(BaseModel):
    mean: float


@dataclass(frozen=True, slots=True)
class MeanWork:
    job: MeanJob
    grant: Grant
    units: int = 1

    @property
    def points(self) -> int:
        return len(self.job.numbers)

    @property
    def amounts(self) -> Mapping[str, int]:
        return {"max_series_length": self.points}

    def limit_error(self, limit: str, most: int) -> FieldError:
        return FieldError("/numbers", f"Holds {self.points} numbers; this account may send {most}. Split the call.")

    def finish(self, result: Any) -> bytes:
        return orjson.dumps({"mean": result})


def serve(platform: Platform, settings: MeanSettings) -> Routes:
    def parse(body: bytes) -> MeanWork:
        request = validated(MeanRequest.model_validate, read_object(body, "numbers", settings.max_numbers))
        return MeanWork(MeanJob(tuple(request.numbers)), Grant("mean", "arithmetic"))

    openapi = describe("The mean of numbers", "Costs 1 unit.", MeanRequest, MeanAnswer)
    return Routes(operations=[Operation("mean", platform.gate("mean"), parse, openapi, capability="mean")])


MEAN = Capability("mean", MeanSettings, serve, MeanReplica, grants=frozenset({"arithmetic"}))

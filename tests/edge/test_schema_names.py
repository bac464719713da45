"""Schemas of the OpenAPI document have names of their own."""

from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from luna_serving.edge.openapi import describe, document
from luna_serving.edge.operation import Exchange


def operation(path: str, answer: type[BaseModel]) -> Exchange:
    async def serve(_: Any) -> Any:
        raise NotImplementedError

    return Exchange("GET", path, serve, frozenset(), describe("A call", "", None, answer), capability="third")


def test_two_models_of_one_name_are_refused() -> None:
    def first() -> type[BaseModel]:
        class Interval(BaseModel):
            """How long a bar lasts."""

            seconds: float

        return Interval

    class Interval(BaseModel):
        """Of confidence."""

        lower: float

    one, other = operation("bars", first()), operation("estimate", Interval)
    assert "Interval" in document(FastAPI(), [one])["components"]["schemas"]
    with pytest.raises(ValueError, match="are named Interval: rename one"):
        document(FastAPI(), [one, other])

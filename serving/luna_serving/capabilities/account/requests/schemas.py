"""The wire schemas of the request log."""

from datetime import datetime

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field


class LoggedRequest(BaseModel):
    """One answered request."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "route": "kalman/filter",
                    "method": "POST",
                    "status": 200,
                    "milliseconds": 4.127,
                    "bytes": 2048,
                    "request_id": "5f0c7c1b2a9d4c0e8f3b6a7d9e1c2b3a",
                    "address": "203.0.113.0/24",
                    "principal": "luna_Ab3dE6gH",
                    "at": "2026-11-21T12:00:00.123456Z",
                }
            ]
        }
    )

    route: str = Field(description="A template, as the label of metrics: `models/{name}`.")
    method: str = Field(description="`_OTHER` for what is no method.")
    status: int = Field(description="499: the caller hung up first. 101: a WebSocket that is over.")
    milliseconds: float = Field(description="From the request's headers to the end of its answer.")
    bytes: int = Field(description="Of the answer's body.")
    request_id: str = Field(description="As the answer's X-Request-ID.")
    address: str | None = Field(description="The client's network: /24 of IPv4, /48 of IPv6.")
    principal: str = Field(description="Who called: the prefix of a key, or `user:` and a person's id.")
    at: datetime = Field(description="When the answer ended.")


class RequestPage(BaseModel):
    """An account's requests, the newest first."""

    items: list[LoggedRequest]
    next_cursor: str | None = Field(
        description="`cursor` of the next page; null on the last. With filters, a page may hold fewer than `limit` "
        "requests, or none, and not be the last."
    )


COLUMNS = pa.schema(
    [
        ("route", pa.string()),
        ("method", pa.string()),
        ("status", pa.int16()),
        ("milliseconds", pa.float64()),
        ("bytes", pa.int64()),
        ("request_id", pa.string()),
        ("address", pa.string()),
        ("principal", pa.string()),
        ("at", pa.timestamp("us", "UTC")),
    ]
)

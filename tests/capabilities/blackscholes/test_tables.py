"""Arrow and Parquet in and out, dates, and the job that a table becomes."""

from datetime import date
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet
import pytest
from tests.capabilities.blackscholes.served import ROUTE, serving
from tests.store.stores import Store

from luna_serving.capabilities.blackscholes.charts import artifacts
from luna_serving.capabilities.blackscholes.replica import BlackScholesReplica
from luna_serving.capabilities.blackscholes.wire.reading import Reader
from luna_serving.jobs.routes.tables import table_of
from luna_serving.wire.columnar import ARROW, written
from luna_serving.wire.problems import Problem
from luna_serving.wire.sent import Sent
from luna_serving.wire.tabular import PARQUET

TABLE = pa.table(
    {
        "type": ["call", "put", "call"],
        "spot": [100.0, 100.0, 100.0],
        "strike": [90.0, 110.0, None],
        "volatility": [0.2, 0.2, 0.2],
        "expiry": [date(2027, 11, 29)] * 3,
    }
)
QUERY = {"outputs": ["price,delta"], "valuation_date": ["2026-11-29"]}


@pytest.mark.parametrize("form", [ARROW, PARQUET], ids=["arrow", "parquet"])
async def test_a_table_is_answered_by_a_table(store: Store, replica: BlackScholesReplica, form: str) -> None:
    caller = await store.account()
    query = "outputs=price,delta&valuation_date=2026-11-29"
    async with serving(store, caller, replica) as served:
        headers = {"Content-Type": form}
        answer = await served.client.post(f"{ROUTE}?{query}", content=written(TABLE, form), headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == form
    buffer = pa.BufferReader(answer.content)
    found = pa.ipc.open_stream(buffer).read_all() if form == ARROW else pyarrow.parquet.read_table(buffer)
    assert found.column_names == ["price", "delta", "code"]
    assert found["code"].to_pylist() == [None, None, "invalid"]
    assert found["price"].null_count == 1


def test_a_job_of_a_table_has_the_same_rows() -> None:
    work = Reader(100).parse(Sent(written(TABLE, ARROW), ARROW, "*/*", QUERY))
    again = Reader(100).parse(Sent(work.as_job().parameters))
    assert again.job.plan == work.job.plan
    assert again.job.columns["strike"].tolist() == [90.0, 110.0, -1.0]
    assert again.job.columns["expiry"].tolist() == work.job.columns["expiry"].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("day_count", "years"), [("act/365", 366 / 365), ("act/360", 366 / 360), ("act/act", 1.0), ("30/360", 1.0)]
)
def test_dates_become_years_by_their_day_count(day_count: str, years: float) -> None:
    options: dict[str, Any] = {"type": "call", "spot": 1, "strike": 1, "volatility": 0.1, "expiry": "2029-01-01"}
    options |= {"valuation_date": "2028-01-01", "day_count": day_count}
    work = Reader(100).parse(Sent(orjson.dumps({"options": options})))
    assert work.job.columns["expiry"] == pytest.approx(years, rel=1e-15)


@pytest.mark.parametrize(
    ("table", "pointer"),
    [
        (TABLE.append_column("vol", pa.array([1.0] * 3)), "/vol"),
        (TABLE.drop_columns(["strike"]), "/strike"),
        (TABLE.set_column(1, "spot", pa.array(["a", "b", "c"])), "/spot"),
        (TABLE.set_column(0, "type", pa.array(["call", "put", "both"])), "/type/2"),
        (TABLE.slice(0, 0), ""),
    ],
    ids=["unknown", "missing", "text", "type", "empty"],
)
def test_a_bad_table_is_pointed_to(table: pa.Table, pointer: str) -> None:
    with pytest.raises(Problem) as refused:
        Reader(100).parse(Sent(written(table, ARROW), ARROW, "*/*", QUERY))
    assert pointer in [error["pointer"] for error in refused.value.extra["errors"]]


def test_the_result_of_a_job_is_a_table_of_its_columns() -> None:
    result = {"results": {"price": [1.0, None]}, "codes": [None, "invalid"], "plan": {"rows": 2}}
    assert table_of(orjson.dumps(result)).to_pydict() == {"price": [1.0, None], "code": [None, "invalid"]}


def test_a_job_draws_its_options() -> None:
    options = {"type": "call", "spot": 100, "strike": [90, 100, 110], "volatility": 0.2, "expiry": 1}
    job = Reader(100).parse(Sent(orjson.dumps({"options": options}))).job
    drawn = artifacts(job, {"price": np.array([12.0, 8.0, 4.0])})
    assert [each.name for each in drawn] == ["payoff.svg", "delta.svg", "gamma.svg", "vega.svg", "prices.svg"]

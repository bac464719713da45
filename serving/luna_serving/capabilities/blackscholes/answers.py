"""Renders answers; in a replica, or in a worker that joins the blocks of a job."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa

from luna_serving.engines.finance.blackscholes.api.names import RowCode
from luna_serving.wire.columnar import written
from luna_serving.wire.tabular import ARROW, PARQUET

# In a table's metadata: the plan, as JSON.
PLAN: Final = b"luna.plan"
_WORDS: Final = np.array([None, *(code.word for code in RowCode if code)], dtype=object)


def as_json(results: Mapping[str, np.ndarray], codes: np.ndarray, plan: Mapping[str, Any]) -> bytes:
    """An answer as JSON; NaN becomes null."""
    columns = {name: np.ascontiguousarray(each) for name, each in results.items()}
    named = _WORDS[codes].tolist()
    return orjson.dumps({"results": columns, "codes": named, "plan": plan}, option=orjson.OPT_SERIALIZE_NUMPY)


def as_table(results: Mapping[str, np.ndarray], codes: np.ndarray, plan: Mapping[str, Any], form: str) -> bytes:
    """An answer as an Arrow stream or as Parquet: a column per output, and `code`; NaN becomes null."""
    arrays = [pa.array(each, from_pandas=True) for each in results.values()]
    words = pa.DictionaryArray.from_arrays(
        pa.array(np.maximum(codes - 1, 0).astype(np.int8), mask=codes == 0), pa.array(_WORDS[1:], pa.string())
    )
    table = pa.Table.from_arrays([*arrays, words], names=[*results, "code"])
    return written(table.replace_schema_metadata({PLAN: orjson.dumps(plan)}), ARROW if form == "arrow" else PARQUET)

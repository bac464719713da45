"""What a server's bodies and answers look like: the original's JSON, or its own protocol with the same numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True)
class Wire:
    """One protocol."""

    body: Callable[[bytes], bytes]
    """Makes a request's body of the original's, `{"results": [...]}`; one line."""
    answer: Callable[[Any], Any]
    """Makes the original's answer, `{"processed_results": [...], "input_data": [...]}`, of a parsed one.

    Raises KeyError, IndexError or TypeError if the answer has another form.
    """


def _results(body: bytes) -> list[Any]:
    results: list[Any] = orjson.loads(body)["results"]
    return results


def _batch_of_one(body: bytes) -> bytes:
    return orjson.dumps({"results": [_results(body)]})


def _only(answer: Any) -> Any:  # noqa: ANN401  parsed JSON
    [one] = answer
    return one


def _tensor(body: bytes) -> bytes:
    results = _results(body)
    tensor = {"name": "results", "datatype": "FP64", "shape": [1, len(results)], "data": results}
    return orjson.dumps({"inputs": [tensor]})


def _tensors(answer: Any) -> dict[str, Any]:  # noqa: ANN401  parsed JSON
    return {output["name"]: output["data"] for output in answer["outputs"]}


ORIGINAL = Wire(lambda body: body, lambda answer: answer)
# BentoML joins lists, so that a call brings and gets a list.
BATCH = Wire(_batch_of_one, _only)
# The Open Inference Protocol (V2), https://github.com/kserve/open-inference-protocol.
V2 = Wire(_tensor, _tensors)

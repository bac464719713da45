"""The answer of the JSON routes."""

from collections.abc import Sequence

import orjson

from luna_serving.capabilities.metrics.ingest.results import MAX_LISTED, Rejection


def answer(accepted: int, rejected: Sequence[Rejection], more: int = 0) -> bytes:
    """`{"accepted"}`, with `rejected` where there is any, in the order of the items.

    Where not all are listed, `rejected_items` says how many there are.

    Args:
        accepted: samples that were written.
        rejected: by the parser and by the shard.
        more: items that were rejected besides.
    """
    body: dict[str, object] = {"accepted": accepted}
    if rejected:
        shown = sorted(rejected, key=lambda each: each.index)[:MAX_LISTED]
        body["rejected"] = [each.as_dict() for each in shown]
        if len(shown) < len(rejected) + more:
            body["rejected_items"] = len(rejected) + more
    return orjson.dumps(body)

"""Entity tags of answers: what an answer is made of, hashed, so that nothing has to be read to compare them."""

import hashlib
from collections.abc import Sequence
from dataclasses import astuple
from typing import Final

import orjson

from luna_serving.capabilities.market.wire.prices import Missed
from luna_serving.capabilities.market.wire.request import PricesRequest
from luna_serving.prices.located import Located

# Changes when the same request on the same data is answered with other bytes.
FORMAT: Final = 1


def etag_of(
    request: PricesRequest, form: str, history_days: int | None, good: Sequence[Located], missed: Sequence[Missed]
) -> str:
    """A strong entity tag (RFC 9110, 8.8.3): the bars of a version never change, nor do its actions."""
    made_of = [
        FORMAT,
        form,
        history_days,
        [None if each is None else str(each) for each in astuple(request)],
        [(each.market, each.data_version, each.symbol, each.file.digest, each.last_bar_closed) for each in good],
        [each.as_dict() for each in missed],
    ]
    return f'"{hashlib.sha256(orjson.dumps(made_of)).hexdigest()[:32]}"'


def matches(if_none_match: str, etag: str) -> bool:
    """Whether a caller has the answer, by its If-None-Match (RFC 9110, 13.1.2: weak comparison)."""
    tags = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return "*" in tags or etag in tags

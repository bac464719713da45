"""Turns pieces into the bytes of an answer."""

import hashlib
from collections.abc import Sequence

import numpy as np
import orjson
from numpy.typing import NDArray

from luna_serving.capabilities.indicators.jobs.windows import Miss
from luna_serving.capabilities.indicators.rendering.pieces import Piece
from luna_serving.capabilities.indicators.rendering.tables import written
from luna_serving.wire.tabular import ARROW, CSV, JSON, PARQUET

FORMS = (JSON, CSV, ARROW, PARQUET)


def rendered(pieces: Sequence[Piece], errors: Sequence[Miss], form: str) -> bytes:
    """The body of an answer in a form of `FORMS`."""
    if form != JSON:
        return written(pieces, errors, form)
    document = {"results": [_result(piece) for piece in pieces], "errors": [each.as_dict() for each in errors]}
    # orjson writes NaN as null.
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


def tagged(pieces: Sequence[Piece], errors: Sequence[Miss], form: str) -> tuple[bytes, str]:
    """The body of an answer, and its entity tag."""
    body = rendered(pieces, errors, form)
    return body, entity_tag(body)


def entity_tag(body: bytes) -> str:
    """A strong validator: answers with the same tag have the same bytes, so each form has tags of its own."""
    return f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'


def times(timestamps: NDArray[np.datetime64], *, intraday: bool) -> list[str]:
    """Starts of bars as ISO 8601: dates, or times with `Z`."""
    if not intraday:
        days: list[str] = np.datetime_as_string(timestamps, unit="D").tolist()
        return days
    instants: list[str] = np.datetime_as_string(timestamps, unit="s", timezone="UTC").tolist()
    return instants


def _result(piece: Piece) -> dict[str, object]:
    label, history = piece.label, piece.history
    result: dict[str, object] = {
        "id": label.id,
        "symbol": label.symbol,
        "name": label.name,
        "params": label.params,
        "timestamps": times(piece.timestamps, intraday=label.intraday),
        "values": {name: np.ascontiguousarray(each) for name, each in piece.values.items()},
        "lookback": history.lookback,
        "warmup_bars": piece.warmup_bars,
        "stability": history.stability,
        "adjust": label.adjust,
        "data_version": label.data_version,
        "last_bar_closed": label.last_bar_closed,
    }
    return result if label.dataset is None else result | {"dataset": label.dataset}

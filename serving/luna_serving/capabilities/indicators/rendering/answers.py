"""Turns pieces into the bytes of an answer."""

import hashlib
from collections.abc import Sequence

import numpy as np
import orjson
from numpy.typing import NDArray

from luna_serving.capabilities.indicators.jobs.batches import Batch, InlineBars, Instrument
from luna_serving.capabilities.indicators.jobs.histories import RELEASE
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


def tag_of(batch: Batch) -> str:
    """A validator of the answer to a batch, from all that the answer depends on: known before it is computed.

    A weak one: another build of NumPy or TA-Lib may round a last digit otherwise.
    """
    asked = (
        RELEASE,
        batch.form,
        batch.adjust,
        [_identity(each) for each in batch.instruments],
        [(order.id, order.formula, order.params, _identity(order.benchmark)) for order in batch.orders],
        batch.window,
        batch.errors,
    )
    # Dates and dataclasses, too, and numbers with all their digits.
    digest = hashlib.blake2b(orjson.dumps(asked, option=orjson.OPT_SERIALIZE_NUMPY), digest_size=16)
    return f'W/"{digest.hexdigest()}"'


def _identity(instrument: Instrument | None) -> object:
    """What names a history that never changes."""
    match instrument:
        case None:
            return None
        case InlineBars():
            arrays = {"timestamp": instrument.timestamps, **instrument.columns}
            return {name: hashlib.blake2b(each.tobytes()).hexdigest() for name, each in arrays.items()}
        case _:
            at = instrument
            return at.market, at.data_version, at.symbol, at.interval, at.last_bar_closed


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

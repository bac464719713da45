"""Requests and answers as Arrow streams and NumPy arrays.

The body holds the series; the other members of the JSON request are a JSON object in the query parameter `request`, or
in the metadata `luna` of an Arrow schema.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.kalman.jobs.binary import METADATA, OBJECTS
from luna_serving.capabilities.kalman.jobs.job import Form
from luna_serving.capabilities.kalman.wire.series import SeriesLimits, check_count, check_length
from luna_serving.engines.statespace.api.description import Model
from luna_serving.wire import problems
from luna_serving.wire.columnar import read_table
from luna_serving.wire.documents import SPARE_LISTS, read_object
from luna_serving.wire.lists import read_lists
from luna_serving.wire.npy import NPY, read_npy
from luna_serving.wire.problems import FieldError
from luna_serving.wire.sent import Sent
from luna_serving.wire.tabular import ARROW, JSON, acceptable

SERIES: Final = "observations"
REQUEST: Final = "request"
MEDIA_TYPES: Final = frozenset({ARROW, NPY})
FORMS: Final[Mapping[str, Form]] = {JSON: "json", ARROW: "arrow", NPY: "npy"}
TYPES: Final[Mapping[Form, bytes]] = {form: name.encode() for name, form in FORMS.items()}


@dataclass(frozen=True, slots=True)
class Arrays:
    """Series that came as arrays: [T], or [T, m] each; NaN where missing."""

    series: Sequence[NDArray[np.float64]]

    def checked(self, model: Model, limits: SeriesLimits) -> list[NDArray[np.float64]]:
        """The series, [T] or [T, m] as the model observes one element or m.

        Raises:
            Problem: 422.
        """
        for i, each in enumerate(self.series):
            if not len(each):
                wrong = "Must have at least one point; NaN where it is missing."
                raise problems.invalid(FieldError(f"/{SERIES}/{i}", wrong))
            check_length(f"/{SERIES}/{i}", len(each), limits)
            width = each.shape[1] if each.ndim > 1 else 1
            if width != model.observed:
                wrong = f"Has {width} numbers per point; the model observes {model.observed}."
                raise problems.invalid(FieldError(f"/{SERIES}/{i}", wrong))
        if np.isinf(np.concatenate(self.series)).any():
            raise problems.invalid(self._infinite())
        return [each if model.observed > 1 or each.ndim == 1 else each.reshape(-1) for each in self.series]

    def _infinite(self) -> FieldError:
        """The error of the first infinite number; there is one."""
        i, each = next((i, each) for i, each in enumerate(self.series) if np.isinf(each).any())
        place = int(np.argwhere(np.isinf(each))[0][0])
        return FieldError(f"/{SERIES}/{i}/{place}", "Is infinite. Send NaN where it is missing.")


def read_sent(sent: Sent, limits: SeriesLimits) -> tuple[dict[str, Any], Arrays]:
    """The members beside the series, and the series, of a body that is not JSON.

    Raises:
        Problem: 422.
    """
    if sent.media_type == NPY:
        array = read_npy(sent.body)
        if not 1 <= array.ndim <= 3 or not array.size:
            wrong = f"Has shape {list(array.shape)}. Send [T], [series, T] or [series, T, m], none of them 0."
            raise problems.invalid(FieldError("", wrong))
        series = [array] if array.ndim == 1 else list(array)
        check_count(len(series), limits)
        return _members(sent, None), Arrays(series)
    table = read_table(sent.body, ARROW, (SERIES,), limits.max_series_per_request)
    if not table.num_rows or SERIES not in table.column_names:
        raise problems.invalid(
            FieldError("", f"Must have a column {SERIES} with at least one series, a list, per row.")
        )
    metadata = (table.schema.metadata or {}).get(METADATA)
    return _members(sent, metadata), Arrays(read_lists(table.column(SERIES), f"/{SERIES}"))


def answer_form(sent: Sent) -> Form:
    """The form of the answer: as Accept says; without it that of an Arrow body, and else JSON.

    Raises:
        Problem: 406.
    """
    offered = (ARROW, JSON, NPY) if sent.media_type == ARROW else (JSON, ARROW, NPY)
    return FORMS[acceptable(sent.accept, offered)]


def check_form(form: Form, outputs: Sequence[str], lengths: Sequence[int], *, forecast: bool) -> None:
    """Refuse an answer that a NumPy array cannot hold.

    Raises:
        Problem: 422.
    """
    if form != "npy" or forecast:
        return
    if len(outputs) != 1 or outputs[0] in OBJECTS:
        wrong = f"Must be one output, none of {', '.join(OBJECTS)}: {NPY} holds one array. Accept {ARROW} for others."
        raise problems.invalid(FieldError("/outputs", wrong))
    if len(set(lengths)) > 1:
        wrong = f"Have different lengths: {NPY} holds one array. Accept {ARROW}, or send series of one length."
        raise problems.invalid(FieldError(f"/{SERIES}", wrong))


def _members(sent: Sent, metadata: bytes | None) -> dict[str, Any]:
    values = sent.query.get(REQUEST, [])
    if len(values) + (metadata is not None) > 1:
        raise problems.invalid(FieldError(f"/query/{REQUEST}", "Is there twice: send it once, or in the metadata."))
    text = metadata if metadata is not None else values[0].encode() if values else b"{}"
    members = read_object(text, SERIES, SPARE_LISTS)
    if SERIES in members:
        raise problems.invalid(FieldError(f"/{SERIES}", "Are the body. Leave them out of the JSON."))
    return members

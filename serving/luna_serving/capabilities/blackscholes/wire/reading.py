"""From a request, as JSON, Arrow or Parquet, to a `PricingWork`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson

from luna_serving.capabilities.blackscholes.job import Form, PricingJob
from luna_serving.capabilities.blackscholes.wire.columns import NAMES, NUMBERS, Columns, refuse
from luna_serving.capabilities.blackscholes.wire.schemas import OptionColumns, PricingRequest
from luna_serving.capabilities.blackscholes.wire.work import PricingWork
from luna_serving.engines.finance.blackscholes.api.names import (
    AMERICAN,
    IMPLIED,
    OF_AMERICAN,
    OF_EUROPEAN,
    PRICE,
)
from luna_serving.wire import problems
from luna_serving.wire.columnar import read_table
from luna_serving.wire.documents import SPARE_LISTS, read_object
from luna_serving.wire.forms import read_form
from luna_serving.wire.problems import FieldError
from luna_serving.wire.sent import Sent
from luna_serving.wire.tabular import ARROW, JSON, PARQUET, acceptable

METHODS: Final = {"european": "closed_form", "american": "spectral_collocation"}
PARAMETERS: Final = ("style", "outputs", "valuation_date", "day_count")
FORMS: Final[Mapping[str, Form]] = {JSON: "json", ARROW: "arrow", PARQUET: "parquet"}


@dataclass(frozen=True, slots=True)
class Reader:
    """Parses requests, in any thread."""

    max_rows: int

    def parse(self, sent: Sent) -> PricingWork:
        """Read a request.

        Raises:
            Problem: 406, 422.
        """
        if sent.media_type == JSON:
            form = FORMS[acceptable(sent.accept, (JSON, ARROW, PARQUET))]
            document = read_object(sent.body, "options", SPARE_LISTS)
            document |= _parameters(sent.query, tabular=False)
            request = read_form(PricingRequest, document)
            return self._work(request, "/options", form, lambda: sent.body)
        form = FORMS[acceptable(sent.accept, (sent.media_type, ARROW, PARQUET, JSON))]
        table = read_table(sent.body, sent.media_type, NAMES, self.max_rows)
        columns = {name: table.column(name) for name in table.column_names}
        given = _parameters(sent.query, tabular=True)
        options = {name: given.pop(name) for name in ("valuation_date", "day_count") if name in given}
        missing = [
            FieldError(f"/{name}", "Is missing.") for name in ("type", "strike", "expiry") if name not in columns
        ]
        refuse(missing)
        if table.num_rows == 0:
            raise problems.invalid(FieldError("", "Has no rows."))
        request = read_form(PricingRequest, {"options": columns | options, **given})
        return self._work(request, "", form, None)

    def _work(self, request: PricingRequest, at: str, form: Form, body: Any) -> PricingWork:  # noqa: ANN401  a callable
        given = request.options
        columns = Columns(at, self.max_rows)
        _check_which(columns, given, american=request.style == AMERICAN)
        read: dict[str, Any] = {"sign": columns.signs(given.type)}
        for name in NUMBERS:
            value = getattr(given, name)
            if value is not None:
                read[name] = columns.numbers(name, value)
        read["expiry"] = columns.expiries(given.expiry, given.valuation_date, given.day_count)
        rows = columns.rows()
        outputs = _outputs(request, columns)
        refuse(columns.errors)
        forward = "forward" in read
        read["underlying"] = read.pop("forward" if forward else "spot")
        read.setdefault("dividend_yield", 0.0)
        method = "lets_be_rational" if "price" in read else METHODS[request.style]
        plan = {"rows": rows, "style": request.style, "method": method, "outputs": list(outputs)}
        job = PricingJob(read, rows, outputs, request.style, forward, form, plan)
        return PricingWork(job, body or (lambda: _as_json(job)))


def _check_which(columns: Columns, given: OptionColumns, *, american: bool) -> None:
    for one, other in (("spot", "forward"), ("volatility", "price")):
        both = getattr(given, one) is not None, getattr(given, other) is not None
        if both == (True, True):
            columns.wrong(other, f"Stands beside {one}. Send one of them.")
        elif both == (False, False):
            columns.wrong(one, f"Is missing: send {one} or {other}.")
    if given.forward is not None and given.dividend_yield is not None:
        columns.wrong("dividend_yield", "Is part of the forward. Leave it out, or send spot.")
    if american and given.forward is not None:
        columns.wrong("forward", "American options need the spot, whose way decides on their exercise.")
    if american and given.price is not None:
        columns.wrong("price", "Implied volatilities are those of European options.")


def _outputs(request: PricingRequest, columns: Columns) -> tuple[str, ...]:
    implied = request.options.price is not None
    if request.outputs is None:
        return (IMPLIED,) if implied else (PRICE,)
    known: tuple[str, ...] = OF_AMERICAN if request.style == AMERICAN else OF_EUROPEAN
    known = (PRICE, IMPLIED) if implied else tuple(name for name in known if name != IMPLIED)
    for i, name in enumerate(request.outputs):
        if name not in known:
            needs = "prices in place of volatilities" if name == IMPLIED else "another style or other columns"
            detail = f"Needs {needs}. Here the outputs are {', '.join(known)}."
            columns.errors.append(FieldError(f"/outputs/{i}", detail))
    return tuple(dict.fromkeys(request.outputs))


def _parameters(query: Mapping[str, list[str]], *, tabular: bool) -> dict[str, Any]:
    """Members from the query: beside a table, what JSON has in its body.

    Raises:
        Problem: 422.
    """
    if query and not tabular:
        raise problems.invalid(
            *(FieldError(f"/query/{name}", "Is a member of the body where that is JSON.") for name in query)
        )
    found: dict[str, Any] = {}
    for name, values in query.items():
        if len(values) > 1:
            raise problems.invalid(FieldError(f"/query/{name}", "May be given once."))
        found[name] = values[0].split(",") if name == "outputs" else values[0]
    return found


def _as_json(job: PricingJob) -> bytes:
    """A job as the body that makes it."""
    read = _finite(job.columns)
    columns = {name: each for name, each in read.items() if name not in {"sign", "underlying"}}
    columns["type"] = np.where(read["sign"] > 0.0, "call", "put").tolist()
    columns["forward" if job.forward else "spot"] = read["underlying"]
    if job.forward:
        del columns["dividend_yield"]
    body = {"options": columns, "style": job.style, "outputs": job.outputs}
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def _finite(columns: Mapping[str, Any]) -> dict[str, Any]:
    """The columns without NaN and infinities, which JSON has not: such a row gets a strike of -1, and stays invalid."""
    arrays = {name: each for name, each in columns.items() if isinstance(each, np.ndarray)}
    bad = np.zeros(len(next(iter(arrays.values()))), bool)
    for each in arrays.values():
        bad |= ~np.isfinite(each)
    if not bad.any():
        return dict(columns)
    cleaned = {name: np.where(np.isfinite(each), each, 0.0) for name, each in arrays.items()}
    return {**columns, **cleaned, "strike": np.where(bad, -1.0, cleaned["strike"])}

"""Bars: open, high, low, close and volume against each other."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from luna_serving.capabilities.datasets.validation.contract import OhlcvContract
from luna_serving.capabilities.datasets.validation.findings import Rule
from luna_serving.capabilities.datasets.validation.tables import rules
from luna_serving.capabilities.datasets.validation.tables.tally import Tally

Floats = NDArray[np.float64]


def check_bars(contract: OhlcvContract, values: Mapping[str, Floats], rows: NDArray[np.int64], tally: Tally) -> None:
    """Check a chunk.

    Args:
        contract: names the columns.
        values: by column; NaN where missing, which contradicts nothing. Columns may be missing.
        rows: of the values.
        tally: takes the findings.
    """
    high, low = values.get(contract.high), values.get(contract.low)
    body = [values[name] for name in (contract.open, contract.close) if name in values]
    if high is not None:
        above = body if low is None else [*body, low]
        wrong = np.logical_or.reduce([high < each for each in above]) if above else np.zeros(high.size, bool)
        what = "is below the open, the close or the low"
        _report(rules.BAR, what, contract.high, wrong, high, rows, tally)
    if low is not None and body:
        wrong = np.logical_or.reduce([low > each for each in body])
        _report(rules.BAR, "is above the open or the close", contract.low, wrong, low, rows, tally)
    for name in (contract.open, contract.high, contract.low, contract.close):
        if name in values:
            _report(rules.PRICE, "is not positive", name, values[name] <= 0, values[name], rows, tally)
    if contract.volume is not None and contract.volume in values:
        volume = values[contract.volume]
        _report(rules.VOLUME, "is negative", contract.volume, volume < 0, volume, rows, tally)


def _report(
    rule: Rule, what: str, name: str, wrong: NDArray[np.bool_], values: Floats, rows: NDArray[np.int64], tally: Tally
) -> None:
    if wrong.any():
        at = np.flatnonzero(wrong)
        tally.rows(rule, f"Column {name!r} {what}.", rows[at], column=name, value=lambda i: f"{values[at[i]]:g}")

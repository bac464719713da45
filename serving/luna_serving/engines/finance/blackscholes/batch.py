"""Evaluates any number of rows with programs that are compiled once, in blocks of a ladder of sizes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Int

from luna_serving.engines.finance.blackscholes import stages
from luna_serving.engines.finance.blackscholes.american import solver
from luna_serving.engines.finance.blackscholes.american.boundary import Put
from luna_serving.engines.finance.blackscholes.api.names import BOUNDARY, DIGITAL, GREEKS, IMPLIED, PRICE
from luna_serving.engines.finance.blackscholes.cores import on_cores
from luna_serving.engines.finance.blackscholes.european import LEAST_S, Contract
from luna_serving.engines.finance.blackscholes.rows import RowCode

SIZES: Final = (64, 16384)
Column = Float[np.ndarray, " rows"]


@dataclass(frozen=True, slots=True, eq=False)
class Options:
    """Columns of options; each an array of one length, or a scalar for all rows."""

    sign: Any
    """+1 for a call, -1 for a put."""
    underlying: Any
    strike: Any
    rate: Any
    dividend_yield: Any
    """Ignored where the underlying is a forward."""
    expiry: Any
    """Years."""
    volatility: Any = None
    price: Any = None
    """In place of the volatility."""
    forward: bool = False
    american: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Columns of answers; NaN where a row has none."""

    columns: Mapping[str, Column]
    codes: Int[np.ndarray, " rows"]
    """`RowCode`s."""


@dataclass(frozen=True, slots=True)
class Engine:
    """The compiled programs."""

    european: tuple[stages.Stages, ...]
    american: solver.Solver | None
    cores: int = 1
    """Blocks that are computed at once."""

    def evaluate(self, options: Options, outputs: Sequence[str], stopped: Callable[[], bool] = lambda: False) -> Answer:
        """Evaluate outputs of all rows.

        Args:
            options: the rows.
            outputs: names of `api.names`.
            stopped: asked between blocks; once it is true, the rest of the answer is NaN.
        """
        rows = _Rows.of(options)
        columns = {name: np.full(rows.count, np.nan) for name in outputs}
        codes = np.zeros(rows.count, np.int8)

        def evaluate(block: tuple[int, int, stages.Stages]) -> None:
            begin, size, programs = block
            if stopped():
                return
            part = slice(begin, begin + size)
            found, codes[part] = self._block(rows.block(part, programs.size), programs, size, outputs, options)
            for name, column in columns.items():
                column[part] = found[name][:size]

        # American rows use the cores inside a block: theirs take a thousand times as long.
        on_cores(1 if options.american else self.cores, evaluate, _blocks(rows.count, self.european))
        return Answer(columns, codes)

    def _block(
        self, rows: "_Rows", programs: stages.Stages, size: int, outputs: Sequence[str], options: Options
    ) -> tuple[Mapping[str, Column], Int[np.ndarray, " rows"]]:
        if options.american:
            found, codes = self._american(rows, programs, size, greeks=any(name in GREEKS for name in outputs))
        elif options.price is not None:
            found, codes = _implied(rows, programs)
        else:
            found, codes = _european(rows, programs, outputs, options.forward)
        answered = {name: found[name] for name in outputs}
        for name, column in answered.items():
            finite = np.isfinite(column)
            if finite.all():
                continue
            # A boundary that there is not is no overflow.
            if name != BOUNDARY:
                codes[~finite & (codes == RowCode.OK)] = RowCode.INVALID
            column[~finite] = np.nan
        without = (codes == RowCode.INVALID) | (codes == RowCode.DOUBLE_BOUNDARY)
        if without.any():
            for column in answered.values():
                column[without] = np.nan
        return answered, codes[:size]

    def _american(
        self, rows: "_Rows", programs: stages.Stages, size: int, *, greeks: bool
    ) -> tuple[dict[str, Column], np.ndarray]:
        """Of the first `size` rows; those that fill the block up have European values."""
        if self.american is None:
            raise ValueError("compiled without American options")
        c, volatility, codes = rows.contract, rows.value, rows.codes()
        found, _ = _european(rows, programs, (PRICE, "delta", "gamma", "theta") if greeks else (PRICE,), forward=False)
        call = c.sign > 0.0
        # C(S, K, r, q) = P(K, S, q, r).
        spot, strike = np.where(call, c.strike, c.underlying), np.where(call, c.underlying, c.strike)
        r, q = np.where(call, c.carry_yield, c.rate), np.where(call, c.rate, c.carry_yield)
        double = (r < 0.0) & (q < r)
        never = ((r <= 0.0) & (q >= r)) | (volatility * np.sqrt(np.maximum(c.expiry, 0.0)) < LEAST_TOTAL)
        codes[double & (codes == RowCode.OK)] = RowCode.DOUBLE_BOUNDARY
        boundary = np.full(len(spot), np.nan)
        intrinsic = np.maximum(c.sign * (c.underlying - c.strike), 0.0)
        live = np.flatnonzero(((codes == RowCode.OK) & ~double & ~never & (c.expiry > 0.0))[:size])
        if live.size:
            p = Put((spot / strike)[live], r[live], q[live], volatility[live], c.expiry[live])
            valued = self.american.solve(p, self.cores, greeks=greeks)
            k, s, at_call = strike[live], spot[live], call[live]
            found[PRICE][live] = np.maximum(k * valued.price, np.maximum(found[PRICE], intrinsic)[live])
            if greeks:
                delta, gamma = valued.delta, valued.gamma / k
                # By strike and spot exchanged: V = S v(K/S), so that ∂V/∂S = v - (K/S) v', ∂²V/∂S² = (K/S)² v''/S.
                ratio = s / k
                found["delta"][live] = np.where(at_call, valued.price - ratio * delta, delta)
                found["gamma"][live] = np.where(at_call, ratio**2 * gamma, gamma)
                found["theta"][live] = k * valued.theta
            boundary[live] = np.where(at_call, s / valued.boundary, k * valued.boundary)
        bound = (volatility * np.sqrt(np.maximum(c.expiry, 0.0)) < LEAST_TOTAL) & (codes == RowCode.OK)
        found[PRICE][bound] = np.maximum(found[PRICE], intrinsic)[bound]
        found[BOUNDARY] = boundary
        return found, codes


# Total volatility below which an American option is taken at its limit.
LEAST_TOTAL: Final = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Columns as float64, one of them of the length of all that are not scalars."""

    contract: Contract
    value: Any
    """Volatility, or price."""
    count: int

    @classmethod
    def of(cls, options: Options) -> "_Rows":
        of_carry = options.rate if options.forward else options.dividend_yield
        value = options.volatility if options.price is None else options.price
        columns = [
            np.asarray(each, float)
            for each in (
                options.sign,
                options.underlying,
                options.strike,
                options.rate,
                of_carry,
                options.expiry,
                value,
            )
        ]
        count = max((len(each) for each in columns if each.ndim), default=1)
        return cls(Contract(*columns[:6]), columns[6], count)

    def block(self, part: slice, size: int) -> "_Rows":
        """Rows of a part, filled up to a size with its last row."""

        def cut(column: np.ndarray) -> np.ndarray:
            filled = np.empty(size)
            if not column.ndim:
                filled[:] = column
            else:
                piece = column[part]
                filled[: len(piece)] = piece
                filled[len(piece) :] = piece[-1]
            return filled

        return _Rows(Contract(*map(cut, self.contract)), cut(self.value), size)

    def codes(self) -> Int[np.ndarray, " rows"]:
        """The codes that the inputs alone give."""
        c = self.contract
        good = (c.underlying > 0.0) & (c.strike > 0.0) & (self.value >= 0.0)
        for each in (*c, self.value):
            good &= np.isfinite(each)
        codes = np.where(good, RowCode.OK, RowCode.INVALID).astype(np.int8)
        codes[good & (c.expiry <= 0.0)] = RowCode.EXPIRED
        return codes


def _blocks(count: int, programs: Sequence[stages.Stages]) -> Iterator[tuple[int, int, stages.Stages]]:
    """Where blocks begin, their rows, and the smallest programs that take them."""
    begin = 0
    while begin < count:
        left = count - begin
        fitting = next((each for each in programs if each.size >= left), programs[-1])
        size = min(left, fitting.size)
        yield begin, size, fitting
        begin += size


def _european(
    rows: _Rows, programs: stages.Stages, outputs: Sequence[str], forward: bool
) -> tuple[dict[str, Column], Int[np.ndarray, " rows"]]:
    c, volatility, codes = rows.contract, rows.value, rows.codes()
    past = c.expiry < 0.0
    value = programs.price(c, volatility)
    found: dict[str, Column] = {PRICE: np.array(value)}
    derived = [name for name in outputs if name in GREEKS or name == DIGITAL]
    if derived:
        greeks = programs.all_greeks(c, volatility, value, forward=forward)
        found |= {name: np.array(greeks[name]) for name in derived}
        still = volatility * np.sqrt(np.maximum(c.expiry, 0.0)) <= LEAST_S
        if still.any():
            kink = still & (c.underlying * np.exp((c.rate - c.carry_yield) * c.expiry) == c.strike)
            codes[kink & (codes == RowCode.OK)] = RowCode.UNDEFINED
            for name in derived:
                found[name][kink] = np.nan
    for column in found.values():
        column[past] = np.nan
    return found, codes


def _implied(rows: _Rows, programs: stages.Stages) -> tuple[dict[str, Column], Int[np.ndarray, " rows"]]:
    c, value, codes = rows.contract, rows.value, rows.codes()
    s, beta, half = map(np.asarray, programs.implied_total(c, value))
    with np.errstate(divide="ignore", invalid="ignore"):
        volatility = s / np.sqrt(c.expiry)
    ok = codes == RowCode.OK
    codes[ok & (beta < 0.0)] = RowCode.BELOW_INTRINSIC
    codes[ok & (beta >= half)] = RowCode.ABOVE_MAXIMUM
    volatility = np.where(beta == 0.0, 0.0, volatility)
    volatility[codes != RowCode.OK] = np.nan
    return {IMPLIED: volatility, PRICE: np.where(ok, value, np.nan)}, codes


def warm_up(*, american: bool = True, cores: int = 1) -> Engine:
    """Compile all programs; afterwards nothing is compiled."""
    return Engine(tuple(stages.compiled(size) for size in SIZES), solver.compiled() if american else None, cores)

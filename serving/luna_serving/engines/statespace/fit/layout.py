"""A model and a series as numbers side by side, so that a derivative with respect to a parameter is a difference.

Everything that the score program (`score.py`) takes of one lane is in two arrays: `flat` [f], which does not vary
in time, and `table` [rows, columns], which does. What goes where is the lane's `Form`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.fit.score import Counts, Given, Standing, score_chunk
from luna_serving.engines.statespace.model.model import Model, over_time
from luna_serving.engines.statespace.model.observations import rows_of
from luna_serving.engines.statespace.recursions.recursion import Moving, Observing
from luna_serving.engines.statespace.running.packing import as_argument
from luna_serving.engines.statespace.running.prepared import prepare

Floats = NDArray[np.float64]

# Rows of time in a call and lanes side by side: what a program is compiled for, by number of states (the first bound
# that holds). 32 lanes of two states cost almost what one costs; 8 lanes of 16 states fill a core by themselves.
# A second width would halve the cost of large calls and double the compiles, which a deadline cannot interrupt.
SHAPES: Final = ((4, 256, 32), (16, 256, 8), (64, 64, 8))
# Numbers in the tables of one batch of lanes: 160 MB, and its tangents as much again.
TABLE_NUMBERS: Final = 20_000_000


class Form(NamedTuple):
    """Which program a lane runs in."""

    states: int
    observed: int
    observing_varies: bool
    moving_varies: bool

    @property
    def moving_size(self) -> int:
        """How many numbers transition, state_intercept and state_cov have."""
        return 2 * self.states**2 + self.states

    @property
    def columns(self) -> int:
        """The table's columns: y, then design and obs_var, then how the state moves."""
        observing = self.states + 1 if self.observing_varies else 0
        return 1 + observing + (self.moving_size if self.moving_varies else 0)


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """One series under one model."""

    form: Form
    rank: int
    flat: Floats
    table: Floats
    unit: float
    """What the engine's units add to the log-likelihood for each diffuse direction."""
    shift: float = 0.0
    """Added to the log-likelihood: for observations that differences have used up before the lane begins."""
    resolved: int = 0
    """How many of these resolved a diffuse direction."""


@dataclass(frozen=True, slots=True, eq=False)
class Tangent:
    """The derivative of a lane's arrays with respect to one parameter; `table` None: it does not depend on it."""

    flat: Floats
    table: Floats | None


def lane(model: Model, y: Floats) -> Lane:
    """Lay a model and a series y [T, m] out."""
    prepared = prepare(model)
    n, m = prepared.states, model.observed
    moving_varies = prepared.varies
    form = Form(n, m, moving_varies or m > 1 or model.length is not None, moving_varies)
    start = prepared.saved
    moving = (prepared.transition, prepared.state_intercept, prepared.state_cov)
    flat = [start.mean, start.cov.ravel(), start.diffuse.ravel()]
    if not form.observing_varies:
        columns = [y - model.obs_intercept]
        flat += [prepared.design(model.design).ravel(), model.obs_cov.ravel()]
    else:
        rows = rows_of(model, y)
        columns = [rows.y[:, None], prepared.design(rows.design), rows.obs_var[:, None]]
    if moving_varies:
        periods = len(y)
        spread = [over_time(each, rank, 0, periods) for each, rank in zip(moving, (2, 1, 2), strict=True)]
        columns += [np.repeat(each.reshape(periods, -1), m, axis=0) for each in spread]
    else:
        flat += [each.ravel() for each in moving]
    unit = prepared.log_scale / start.rank if prepared.log_scale else 0.0
    return Lane(form, start.rank, np.concatenate(flat), np.concatenate(columns, axis=1), unit)


def difference(plus: Lane, minus: Lane, width: float) -> Tangent:
    """The derivative from two lanes whose parameter differs by `width`."""
    table = (plus.table - minus.table) / width
    np.nan_to_num(table, copy=False)
    return Tangent((plus.flat - minus.flat) / width, table if table.any() else None)


def combine(weights: Sequence[float], tangents: Sequence[Tangent]) -> Tangent:
    """The derivative along several parameters at once."""
    flat = np.zeros_like(tangents[0].flat)
    table: Floats | None = None
    for weight, tangent in zip(weights, tangents, strict=True):
        flat += weight * tangent.flat
        if weight and tangent.table is not None:
            table = weight * tangent.table if table is None else table + weight * tangent.table
    return Tangent(flat, table)


class Scores(NamedTuple):
    """What the score program answers, one number per lane."""

    loglike: Floats
    slope: Floats
    """The log-likelihood's derivative along the lane's tangent; zero where there is none."""
    met: NDArray[np.int32]
    """Observations that resolved a diffuse direction."""


class TimeIsUp(Exception):
    """The deadline came before the answer."""


def scores(lanes: Sequence[tuple[Lane, Tangent | None]], out_of_time: Callable[[], bool]) -> Scores:
    """The log-likelihood of each lane, ½ ln 2π kept for every observation, and its derivative.

    Raises:
        TimeIsUp: looked at between two chunks of time.
    """
    count = len(lanes)
    found = Scores(np.empty(count), np.empty(count), np.empty(count, np.int32))
    forms = [each.form for each, _ in lanes]
    for form in sorted(set(forms)):
        places = [place for place, other in enumerate(forms) if other == form]
        places.sort(key=lambda place: len(lanes[place][0].table))
        _, length, width = next(shape for shape in SHAPES if form.states <= shape[0])
        while places:
            longest = len(lanes[places[-1]][0].table)
            most = max(1, min(width, TABLE_NUMBERS // max(1, longest * form.columns)))
            some, places = places[-most:], places[:-most]
            batch = [lanes[place] for place in some]
            part = _run(batch, form, (length, width), out_of_time)
            found.loglike[some], found.slope[some], found.met[some] = part.loglike, part.slope, part.met
    # What the engine's units add for each diffuse direction that was resolved (`answers.py`).
    found.loglike[:] -= [each.unit * met - each.shift for (each, _), met in zip(lanes, found.met, strict=True)]
    found.met[:] += np.array([each.resolved for each, _ in lanes], np.int32)
    return found


def _run(
    batch: Sequence[tuple[Lane, Tangent | None]], form: Form, shape: tuple[int, int], out_of_time: Callable[[], bool]
) -> Scores:
    length, width = shape
    used = len(batch)
    flat, flat_tangent = np.zeros((2, len(batch[0][0].flat), width))
    rank, left, met = np.zeros((3, width), np.int32)
    flat[:] = batch[0][0].flat[:, None]
    for number, (each, tangent) in enumerate(batch):
        flat[:, number] = each.flat
        rank[number], left[number] = each.rank, len(each.table)
        if tangent is not None:
            flat_tangent[:, number] = tangent.flat
    standing, constant = _standing(flat, form)
    standing_tangent, constant_tangent = _standing(flat_tangent, form)
    counts = Counts(as_argument(rank), as_argument(left), as_argument(met))
    moves = None
    for first in range(0, max(1, int(left.max())), length):
        if out_of_time():
            raise TimeIsUp
        if form.observing_varies:
            moves = np.arange(first, first + length) % form.observed == form.observed - 1
        standing, standing_tangent, counts = score_chunk(
            _given(constant, _chunk([each.table for each, _ in batch], first, (length, form.columns, width)), form),
            _given(constant_tangent, _tangent_chunk(batch, first, (length, form.columns, width)), form),
            standing,
            standing_tangent,
            counts,
            moves,
        )
    found = (standing.loglike, standing_tangent.loglike, counts.met)
    return Scores(*(np.asarray(each)[:used] for each in found))


def _standing(flat: Floats, form: Form) -> tuple[Standing, list[Floats]]:
    """The start, and the rest of the flat numbers: what is observed, how it moves."""
    n, width = form.states, flat.shape[1]
    sizes = [n, n * n, n * n]
    shapes = [(n, width), (n, n, width), (n, n, width)]
    if not form.observing_varies:
        sizes, shapes = [*sizes, n, 1], [*shapes, (n, width), (width,)]
    if not form.moving_varies:
        sizes, shapes = [*sizes, n * n, n, n * n], [*shapes, (n, n, width), (n, width), (n, n, width)]
    pieces = np.split(flat, np.cumsum(sizes)[:-1])
    mean, cov, diffuse, *rest = (piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True))
    start = Standing(as_argument(mean), as_argument(cov), as_argument(diffuse), as_argument(np.zeros(width)))
    return start, rest


def _chunk(tables: Sequence[Floats], first: int, shape: tuple[int, int, int]) -> Floats:
    """Rows `first` and on of each table, time-major [length, columns, width]; y, the first column, NaN on padding."""
    length, columns, width = shape
    packed = np.zeros((width, length, columns))
    packed[:, :, 0] = np.nan
    for number, table in enumerate(tables):
        piece = table[first : first + length]
        packed[number, : len(piece)] = piece
    return np.ascontiguousarray(np.moveaxis(packed, 0, -1))


def _tangent_chunk(batch: Sequence[tuple[Lane, Tangent | None]], first: int, shape: tuple[int, int, int]) -> Floats:
    length, columns, width = shape
    packed = np.zeros((width, length, columns))
    for number, (_, tangent) in enumerate(batch):
        if tangent is not None and tangent.table is not None:
            piece = tangent.table[first : first + length]
            packed[number, : len(piece)] = piece
    return np.ascontiguousarray(np.moveaxis(packed, 0, -1))


def _given(constant: list[Floats], chunk: Floats, form: Form) -> Given:
    n, (length, _, width) = form.states, chunk.shape
    y, rest = chunk[:, 0], chunk[:, 1:]
    if form.observing_varies:
        design, obs_var, rest = rest[:, :n], rest[:, n], rest[:, n + 1 :]
        moving = constant
    else:
        design, obs_var, *moving = constant
    if form.moving_varies:
        pieces = np.split(rest, [n * n, n * n + n], axis=1)
        shapes = [(length, n, n, width), (length, n, width), (length, n, n, width)]
        moving = [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]
    transition, intercept, state_cov = map(as_argument, moving)
    return Given(
        Observing(as_argument(design), as_argument(obs_var)),
        Moving(transition, intercept, state_cov),
        as_argument(y),
    )

"""A batch cut into tiles of a few known widths: every new shape would be a fresh XLA compile on a live replica."""

from functools import lru_cache
from typing import Final, NamedTuple

# Periods of a compiled program's arrays; its argument says how many of them it runs.
ROWS: Final = 1024
# Series of a compiled program's arrays. No multiple of 16: a column of such an array would lie in a few sets of the
# cache only, and turning the means series-major took 6.4 ns a step at 512 lanes, and takes 2.2 at 520.
WIDTHS: Final = (40, 136, 520)
# The cost of a row without lanes, in lanes.
ROW_COST: Final = 100


class Tile(NamedTuple):
    """Some neighbouring series of a batch, `used` of them, and the compiled width that holds them."""

    first: int
    used: int
    width: int


def tiles(batch: int, *, threads: int = 1) -> list[Tile]:
    """Cut a batch so that the thread that has most to do is done soonest, into no more tiles than that takes."""
    shares = min(range(1, threads + 1), key=lambda count: _cost(_cut(-(-batch // count))))
    cut, first = [], 0
    for share in range(shares):
        end = batch * (share + 1) // shares
        for width in _cut(end - first):
            used = min(width, end - first)
            cut.append(Tile(first, used, width))
            first += used
    return cut


def _cost(widths: tuple[int, ...]) -> int:
    return sum(widths) + ROW_COST * len(widths)


@lru_cache(maxsize=1024)
def _cut(series: int) -> tuple[int, ...]:
    """The widths that hold that many series and cost least, the widest first."""
    whole = max(0, series // WIDTHS[-1] - 1)
    rest = series - whole * WIDTHS[-1]
    best = min(((width,) if width >= rest else (width, *_cut(rest - width)) for width in WIDTHS), key=_cost)
    return tuple(sorted((WIDTHS[-1],) * whole + best, reverse=True))

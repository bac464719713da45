"""Columns of bytes as parameters of statements.

Psycopg writes an array of bytes as escaped text, several times as long; one string of bytes it sends as it is. So the
values are sent one after the other, with their places, and the statement cuts them apart.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate


def cut(name: str) -> str:
    """The SQL of one value of a column in a statement whose rows have `<name>_at` and `<name>_bytes`."""
    return f"substring(CAST(:{name} AS bytea) FROM {name}_at FOR {name}_bytes)"


def arrays(name: str) -> str:
    """The SQL of the two arrays of a column, for `unnest`."""
    return f"CAST(:{name}_at AS integer[]), CAST(:{name}_bytes AS integer[])"


def column(name: str, values: Iterable[bytes]) -> dict[str, bytes | Sequence[int]]:
    """The parameters of a column."""
    parts = list(values)
    sizes = [len(each) for each in parts]
    ends = list(accumulate(sizes, initial=1))
    return {name: b"".join(parts), f"{name}_at": ends[:-1], f"{name}_bytes": sizes}

"""One history of one indicator: what identifies it, and what a replica answers."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from luna_serving.engines.indicators.catalogue import canonical
from luna_serving.prices.located import Adjust, Located

CUSTOM: Final = "custom:"
"""What the name of an account's own indicator begins with."""
PREFIX: Final = "indicator"
Number = int | float


@dataclass(frozen=True, slots=True)
class Formula:
    """What to compute, whatever the prices: checked in full."""

    name: str
    """Of the catalogue; of an account's own indicator with `CUSTOM` before it."""
    params: tuple[tuple[str, Number], ...] = ()
    """All of them, by name."""
    gaps: str = "skip"
    """A value of the engine's `Gaps`."""
    anchor: datetime | None = None
    """UTC; None: the first bar."""
    expression: str | None = None
    """The canonical text of an account's own indicator."""

    def canonical(self, benchmark: Located | None) -> str:
        """Name and parameters as the end of a cache's key: the same for all accounts.

        An account's own indicator is named after its expression, so that a changed definition is another key.
        """
        name = self.name if self.expression is None else CUSTOM + _digest(self.expression)
        parts = [canonical(dict(self.params))] if self.params else []
        if self.gaps != "skip":
            parts.append(f"gaps={self.gaps}")
        if self.anchor is not None:
            parts.append(f"anchor={self.anchor.isoformat()}")
        if benchmark is not None:
            of = benchmark
            parts.append(f"benchmark={of.market}/{of.data_version}/{of.symbol}")
        return f"{name}:{','.join(parts)}"


@dataclass(frozen=True, slots=True)
class Task:
    """One indicator over the whole history of one instrument."""

    located: Located
    adjust: Adjust
    formula: Formula
    benchmark: Located | None = None

    @property
    def key(self) -> str:
        """The key of its values in the cache; `data_version` makes them immutable.

        The braces are a literal hash tag: a market's entries are in one slot of a cluster.
        """
        at = self.located
        place = f"{PREFIX}:{{{at.market}}}:{at.data_version}:{at.symbol}:{at.interval}:{self.adjust}"
        return f"{place}:{self.formula.canonical(self.benchmark)}"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()

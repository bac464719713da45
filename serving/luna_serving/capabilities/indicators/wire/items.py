"""What is wrong with one indicator or instrument of a request, which leaves the others alone."""

from datetime import datetime
from difflib import get_close_matches
from typing import Final

from luna_serving.capabilities.indicators.jobs.tasks import CUSTOM
from luna_serving.capabilities.indicators.jobs.windows import Miss
from luna_serving.engines.indicators.catalogue import CATALOGUE
from luna_serving.wire import problems
from luna_serving.wire.problems import TYPE_BASE, FieldError, Problem

LONGEST: Final = 64
"""Characters of an unknown name that are compared with those of the catalogue."""
AS_OF: Final = "`as_of` counts from imports, not from bars: leave it out, or name a later time."


class ItemInvalid(Exception):
    """An item cannot be answered. `slug` is the end of a problem's type, `steps` lead from the item to its field."""

    def __init__(self, slug: str, status: int, detail: str, *steps: str) -> None:
        super().__init__(detail)
        self.slug = slug
        self.status = status
        self.detail = detail
        self.steps = steps

    def miss(self, id_: str, symbol: str | None, pointer: str | None = None) -> Miss:
        """The item of `errors`."""
        at = None if pointer is None else "".join((pointer, *(f"/{step}" for step in self.steps)))
        return Miss(id_, symbol, TYPE_BASE + self.slug, self.detail, self.status, at)

    def problem(self, pointer: str) -> Problem:
        """The answer to a request of this item alone.

        Args:
            pointer: of the place that `steps` begin at.
        """
        match self.status:
            case 404:
                return problems.not_found(self.detail)
            case _:
                return problems.invalid(FieldError("".join((pointer, *(f"/{s}" for s in self.steps))), self.detail))


def unknown_indicator(name: str) -> ItemInvalid:
    """404: neither the catalogue nor the account has it."""
    where = "/indicators/custom lists yours" if name.startswith(CUSTOM) else "/indicators lists all"
    near = get_close_matches(name.lower()[:LONGEST], CATALOGUE, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return ItemInvalid("not-found", 404, f"There is no indicator {name[:64]!r}.{hint} GET {where}.", "name")


def unknown_symbol(symbol: str, interval: str, as_of: datetime | None = None, near: str | None = None) -> ItemInvalid:
    """404: the account sees no such instrument; `near` is one that it sees."""
    then, cure = ("", "GET /symbols lists what there is.") if as_of is None else (" then", AS_OF)
    hint = "" if near is None else f" Did you mean {near!r}?"
    detail = f"There are no prices of {symbol[:64]!r} with interval {interval}{then}.{hint} {cure}"
    return ItemInvalid("not-found", 404, detail)

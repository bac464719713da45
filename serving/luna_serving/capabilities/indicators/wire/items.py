"""What is wrong with one indicator or instrument of a request, which leaves the others alone."""

from luna_serving.capabilities.indicators.jobs.windows import Miss
from luna_serving.wire import problems
from luna_serving.wire.problems import TYPE_BASE, FieldError, Problem


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
    return ItemInvalid("not-found", 404, f"There is no indicator {name[:64]!r}. GET /indicators lists all.", "name")


def unknown_symbol(symbol: str, interval: str) -> ItemInvalid:
    """404: the account sees no such instrument."""
    detail = f"There are no prices of {symbol[:64]!r} with interval {interval}. GET /symbols lists what there is."
    return ItemInvalid("not-found", 404, detail)

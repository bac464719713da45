"""Why a row has no answer, or not all of it."""

from enum import IntEnum


class RowCode(IntEnum):
    """0 for a row that is answered; the others by their names in lower case."""

    OK = 0
    INVALID = 1
    """A number of the row is outside its domain (a negative volatility, say), or its answer overflows."""
    EXPIRED = 2
    """The expiry is 0, and the price the intrinsic value; or it is past, and there is no answer."""
    BELOW_INTRINSIC = 3
    """No volatility gives so low a price."""
    ABOVE_MAXIMUM = 4
    """No volatility gives so high a price."""
    DOUBLE_BOUNDARY = 5
    """An American option with two exercise boundaries, which the method does not price."""
    UNDEFINED = 6
    """At the money without volatility: the price has a kink, and no Greeks."""

    @property
    def word(self) -> str:
        """The name in answers."""
        return self.name.lower()

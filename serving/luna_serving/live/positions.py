"""The place of a client in the stream of its account: `(epoch, seq)`.

The high bits of `seq` are the number of the last alert that the client has, the low bits count the messages since. A
client that resumes names its place; alerts after the high bits are sent again, and series are sent as they are now.
"""

from dataclasses import dataclass
from typing import Final

COUNTER_BITS: Final = 20
COUNTER_MAX: Final = 2**COUNTER_BITS - 1
# The whole numbers that every JSON reader keeps exactly.
LARGEST_SEQ: Final = 2**53 - 1


@dataclass(slots=True)
class Position:
    """Where one client is. `seq` increases with each message; after 2**20 messages without an alert it stays."""

    alert: int
    """The number of the last alert that was sent; in the epoch of the account's alerts, from 1 on."""
    counter: int = 0
    """Messages since that alert."""

    @classmethod
    def of(cls, seq: int) -> "Position":
        """The place that a client names."""
        return cls(seq >> COUNTER_BITS, seq & COUNTER_MAX)

    @property
    def seq(self) -> int:
        """As one number, below 2**53."""
        return self.alert << COUNTER_BITS | self.counter

    def next(self) -> int:
        """The number of the next message that is no alert."""
        self.counter = min(self.counter + 1, COUNTER_MAX)
        return self.seq

    def at_alert(self, number: int) -> int:
        """The number of the message with an alert."""
        self.alert, self.counter = number, 0
        return self.seq

"""The limit of samples per second of an account. Pure: the time is an argument."""

from dataclasses import dataclass
from typing import Final

BURST_S: Final = 10.0


@dataclass(slots=True)
class Bucket:
    """A leaky bucket: it drains at the rate, and holds ten seconds' worth."""

    level: float = 0.0
    at_s: float = 0.0

    def wait_s(self, samples: int, per_s: float, now_s: float) -> float:
        """Seconds until samples are admitted; 0 if they are now, and then they count.

        A call that is larger than the bucket is admitted when it is empty; the next one waits for it.
        """
        level = max(0.0, self.level - (now_s - self.at_s) * per_s)
        room = max(0.0, BURST_S * per_s - samples)
        if level > room:
            return (level - room) / per_s
        self.level, self.at_s = level + samples, now_s
        return 0.0

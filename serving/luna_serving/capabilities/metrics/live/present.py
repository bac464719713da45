"""Present values, from the shard of the account."""

from collections.abc import Sequence

from luna_serving.live.ports import PortUnavailable
from luna_serving.samples.answers import LatestSamples
from luna_serving.samples.client import Samples
from luna_serving.shards.client import ShardUnavailable


class ShardPresent:
    """The port `luna_serving.live.ports.Present`."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    async def latest(self, account_id: int, selectors: Sequence[str], *, most_series: int) -> LatestSamples:
        """The last samples of series."""
        try:
            return await self._samples.latest(account_id, selectors, most_series=most_series)
        except ShardUnavailable as e:
            raise PortUnavailable("The shard of the metrics") from e

"""The log of alerts of an ingress replica: a capability provides it, whichever is wired first."""

from collections.abc import Mapping, Sequence

from luna_serving.live.ports import AlertHead, AlertLog, LoggedAlert, NoAlerts


class ProvidedAlertLog:
    """Passes questions on to the log that was provided; without one no account has alerts."""

    def __init__(self) -> None:
        self._log: AlertLog = NoAlerts()

    def provide(self, log: AlertLog) -> None:
        """Answer from this log from now on."""
        self._log = log

    async def heads(self, account_ids: Sequence[int]) -> Mapping[int, AlertHead]:
        """As the log's; errors too."""
        return await self._log.heads(account_ids)

    async def missed(self, account_id: int, after_seq: int, most: int) -> Sequence[LoggedAlert]:
        """As the log's; errors too."""
        return await self._log.missed(account_id, after_seq, most)

"""Sends alerts to Alertmanagers, as Prometheus does: again while they fire, and for a while after they have ended."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.capabilities.alerts.delivery.payload import alertmanager_body
from luna_serving.capabilities.alerts.delivery.silencing import matchers_of, silenced
from luna_serving.capabilities.alerts.metrics import AlertMetrics
from luna_serving.capabilities.alerts.store.outbox import announced, to_announce
from luna_serving.capabilities.alerts.store.records import AlertRecord
from luna_serving.capabilities.alerts.store.silences import active_silences
from luna_store.platform.leases import Lease, fenced

log = logging.getLogger("luna.alerts")

PATH: Final = "/api/v2/alerts"
# Alerts in one request; Prometheus sends 256.
AT_ONCE: Final = 256
# The answer to a request of which some alerts are not valid (api/v2/api.go, `postAlertsHandler`).
INVALID: Final = 400
# Characters of an answer that the log repeats.
ECHO: Final = 200


class Announcer:
    """Tells Alertmanagers what is due. Does not own the engine or the client."""

    def __init__(
        self,
        engine: AsyncEngine,
        client: httpx.AsyncClient,
        urls: Sequence[str],
        metrics: AlertMetrics,
        *,
        resend: timedelta,
        retention: timedelta,
        external_url: str,
    ) -> None:
        """Wire it.

        Args:
            engine: of the worker.
            client: with a time-out.
            urls: of the Alertmanagers.
            metrics: counts requests.
            resend: after which a firing alert is sent again.
            retention: for which a resolved alert is sent.
            external_url: where people reach Luna.
        """
        self._engine = engine
        self._client = client
        self._urls = urls
        self._metrics = metrics
        self._resend = resend
        self._retention = retention
        self._external_url = external_url

    async def run(self, lease: Lease) -> None:
        """Send what is due; what no Alertmanager takes is due again at the next run.

        Raises:
            LeaseLost: another worker sends.
            SQLAlchemyError: Postgres did not answer; the alerts are sent again.
        """
        if not self._urls:
            return
        while found := await to_announce(self._engine, AT_ONCE):
            heard = await self._audible(found)
            if heard and not await self._sent(heard):
                return
            alerts = [each for _, each in found]
            async with fenced(self._engine, lease) as connection:
                await announced(connection, alerts, resend=self._resend, retention=self._retention)
            if len(found) < AT_ONCE:
                return

    async def _audible(self, found: Sequence[tuple[int, AlertRecord]]) -> list[AlertRecord]:
        """Those that no silence holds back."""
        accounts = sorted({account_id for account_id, _ in found})
        written = await active_silences(self._engine, accounts)
        silences = {account_id: [matchers_of(each) for each in of] for account_id, of in written.items()}
        return [each for account_id, each in found if not silenced(each.labels, silences.get(account_id, ()))]

    async def _sent(self, alerts: Sequence[AlertRecord]) -> bool:
        """Whether an Alertmanager has taken them."""
        body = alertmanager_body(alerts, datetime.now(UTC), self._external_url)
        return any(await asyncio.gather(*(self._post(url, body) for url in self._urls)))

    async def _post(self, url: str, body: bytes) -> bool:
        try:
            answer = await self._client.post(url + PATH, content=body, headers={"Content-Type": "application/json"})
            if answer.status_code == INVALID:
                # It has taken the alerts that are valid for it, and will never take the others, such as those with a
                # dot in the name of a label. Sent again, they would hold up the alerts of all other accounts.
                log.warning("the Alertmanager %s left alerts out: %s", url, answer.text[:ECHO])
                self._metrics.sent("alertmanager", "given_up")
                return True
            answer.raise_for_status()
        except httpx.HTTPError as e:
            log.warning("the Alertmanager %s did not take alerts: %s", url, e)
            self._metrics.sent("alertmanager", "failed")
            return False
        self._metrics.sent("alertmanager", "delivered")
        return True

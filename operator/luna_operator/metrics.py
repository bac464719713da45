"""The operator's metrics; `docs/exported-metrics.md` lists them and a test holds the two together."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from luna_store.settlement.settlement import SettlementObserver

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """Counters and gauges in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._reconciles = self._counter("reconciles", "Reconciliations of an Account, by result", "result")
        self._reconcile_s = self._histogram("luna_operator_reconcile_seconds", "One reconciliation")
        self._waited_s = self._histogram("luna_operator_queue_seconds", "An Account's wait until its turn")
        self._queued = self._gauge("luna_operator_queue_depth", "Accounts that wait for a worker")
        self._requests = self._counter("kube_requests", "Requests to the API server", "verb", "resource", "code")
        self._accounts = self._gauge("luna_operator_accounts", "Accounts at the last sweep", "ready")
        self._blocked = self._gauge("luna_operator_blocked_accounts", "Accounts that should be ready and are not")
        self._repairs = self._counter("repairs", "Drift that was found, by where it was", "where")
        self._keys = self._counter("keys_issued", "API keys, by the reason they were issued for", "reason")
        self._leader = self._gauge("luna_operator_leader", "1 on the replica that reconciles")
        self._sweep_s = self._histogram("luna_operator_sweep_seconds", "One look at all Accounts")
        self._swept_at = self._gauge("luna_operator_last_sweep_timestamp_seconds", "When the last sweep ended well")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"luna_operator_{name}_total", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(name, text, buckets=SECONDS, registry=self.registry)

    def requested(self, verb: str, resource: str, code: str) -> None:
        """The API server answered a request."""
        self._requests.labels(verb, resource, code).inc()

    def took(self, waited_s: float, depth: int) -> None:
        """A worker took an Account from the queue."""
        self._waited_s.observe(waited_s)
        self._queued.set(depth)

    def reconciled(self, result: str, seconds: float) -> None:
        """A reconciliation ended: ok, blocked or retry."""
        self._reconciles.labels(result).inc()
        self._reconcile_s.observe(seconds)

    def key_issued(self, reason: str) -> None:
        """A key reached its Secret."""
        self._keys.labels(reason).inc()

    def repaired(self, where: str) -> None:
        """Drift was found in the row, the members, the cache, the Secret or the status."""
        self._repairs.labels(where).inc()

    def leading(self, *, leads: bool) -> None:
        """Whether this replica reconciles from now on."""
        self._leader.set(leads)

    def sweep_took(self, seconds: float) -> None:
        """A sweep ended well."""
        self._sweep_s.observe(seconds)
        self._swept_at.set(time.time())

    def swept(self, *, accounts: int, ready: int, ended: int) -> None:
        """What a sweep counted: of those that are not ready, `ended` are suspended or expired."""
        self._accounts.labels("true").set(ready)
        self._accounts.labels("false").set(accounts - ready)
        self._blocked.set(accounts - ready - ended)


class SettlementMetrics(SettlementObserver):
    """What settlement tells, as metrics of the same registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = Counter("luna_settlement_events_total", "Usage events booked in Postgres", registry=registry)
        self._rebuilt = Counter(
            "luna_settlement_rebuilds_total", "Accounts whose Redis keys settlement rebuilt", registry=registry
        )
        self._round_s = Histogram(
            "luna_settlement_round_seconds", "One round of settlement", buckets=SECONDS, registry=registry
        )
        self._leader = Gauge("luna_settlement_leader", "1 on the replica that settles", registry=registry)
        self._waiting = Gauge(
            "luna_settlement_waiting_events", "Usage events in Redis, not in Postgres yet", registry=registry
        )
        self._oldest = Gauge("luna_settlement_oldest_event_seconds", "Age of the oldest of them", registry=registry)

    def leading(self, leading: bool) -> None:
        """Whether this replica settles."""
        self._leader.set(leading)

    def booked(self, events: int) -> None:
        """So many events were committed."""
        self._events.inc(events)

    def rebuilt(self, accounts: int) -> None:
        """So many accounts were rebuilt."""
        self._rebuilt.inc(accounts)

    def round(self, seconds: float) -> None:
        """A round has ended."""
        self._round_s.observe(seconds)

    def backlog(self, waiting_events: int, oldest_age_s: float) -> None:
        """So many events wait, the oldest for so long."""
        self._waiting.set(waiting_events)
        self._oldest.set(oldest_age_s)

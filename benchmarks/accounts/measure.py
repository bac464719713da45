"""The run: the limit, then N Accounts, then a second start that must write nothing."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import psutil
from rich.progress import Progress
from tests.operator.operating import Operator

from luna_operator.kube.client import ApiServer
from luna_operator.resources.names import API_VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console
    from tests.cluster.cluster import Cluster
    from tests.operator.operating import Surroundings

NAMESPACE = "benchmark"
AT_ONCE = 16
LIMIT_ACCOUNTS_AT_MOST = 500
ACCOUNTS = f"/apis/{API_VERSION}/namespaces/{NAMESPACE}/accounts"


@dataclass(frozen=True)
class Figures:
    """What a run measured."""

    accounts: int
    seconds: float
    """From the first create to the last Ready."""
    limit_per_second: float
    """Accounts a second of a client that only sends the operator's requests."""
    requests: dict[str, int]
    """The operator's, by verb, resource and code."""
    memory_peak_mib: float
    operator_cpu_s: float
    servers_cpu_s: dict[str, float]
    restart_seconds: float
    """From the second start to the end of its first sweep."""
    restart_writes: dict[str, int]
    restart_memory_mib: float

    @property
    def per_second(self) -> float:
        """Accounts a second."""
        return self.accounts / self.seconds

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"per_second": self.per_second}

    def lines(self) -> list[str]:
        """For people."""
        total = sum(self.requests.values())
        by_kind = ", ".join(f"{count} {kind}" for kind, count in sorted(self.requests.items(), key=lambda i: -i[1]))
        cpu = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.servers_cpu_s.items())
        return [
            (
                f"{self.accounts} Accounts to Ready: {self.seconds:.1f} s, {self.per_second:.1f} a second, "
                f"{self.per_second / self.limit_per_second:.2f} of the limit ({self.limit_per_second:.1f} a second)"
            ),
            f"requests of the operator: {total}, {total / self.accounts:.2f} an Account ({by_kind})",
            f"CPU: operator {self.operator_cpu_s:.0f} s, {cpu}",
            f"memory: {self.memory_peak_mib:.0f} MiB at most, {self.restart_memory_mib:.0f} MiB after a restart",
            (
                f"restarted with nothing changed: {self.restart_seconds:.1f} s to the end of the first sweep, "
                f"writes: {self.restart_writes or 'none'}"
            ),
        ]


async def measure(
    cluster: Cluster, around: Surroundings, folder: Path, accounts: int, sweep_s: float, say: Console
) -> Figures:
    """Measure everything on servers that run already."""
    servers = cluster.pids()
    api = await ApiServer.connect(lambda *_: None, kubeconfig=around.kubeconfig, connections=AT_ONCE)
    try:
        await api.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        few = min(accounts, LIMIT_ACCOUNTS_AT_MOST)
        say.print(f"the limit: the operator's requests alone, {few} Accounts")
        limit = await _limit(api, few)
        # They have a Secret each and no finalizer any more.
        cluster.kubectl("delete", "--raw", ACCOUNTS)
        before = {name: _cpu(pid) for name, pid in servers.items()}
        with Operator(around, folder, sweep_s=sweep_s) as operator:
            operator.wait_ready().wait_leading()
            seconds, peak = await _fill(api, operator, accounts, say)
            # Until the queue is empty and a sweep has nothing to say.
            operator.wait_swept(2, 600)
            requests, cpu = operator.requests(), operator.cpu_seconds()
        spent = {name: _cpu(pid) - before[name] for name, pid in servers.items()}
        began = time.monotonic()
        with Operator(around, folder, sweep_s=sweep_s) as operator:
            operator.wait_ready().wait_swept(1, 600)
            restart = time.monotonic() - began
            operator.wait_swept(1, 600)
            writes = {kind: n for kind, n in operator.requests().items() if kind.split()[0] not in {"get", "list"}}
            memory = operator.memory()
    finally:
        await api.close()
    return Figures(
        accounts=accounts,
        seconds=seconds,
        limit_per_second=limit,
        requests=requests,
        memory_peak_mib=peak / 2**20,
        operator_cpu_s=cpu,
        servers_cpu_s=spent,
        restart_seconds=restart,
        restart_writes=writes,
        restart_memory_mib=memory / 2**20,
    )


async def _fill(api: ApiServer, operator: Operator, accounts: int, say: Console) -> tuple[float, int]:
    began, peak = time.monotonic(), 0
    creating = asyncio.create_task(_each(accounts, lambda i: api.create(ACCOUNTS, _account(i))))
    with Progress(console=say) as progress:
        bar, ready = progress.add_task("Accounts Ready", total=accounts), 0
        while ready < accounts:
            await asyncio.sleep(1.0)
            if creating.done():
                creating.result()
            if operator.process.poll() is not None:
                raise operator.process.died("the operator ended by itself.")
            done = int(operator.metric("luna_operator_reconciles_total", result="ok"))
            # A list of ten thousand whole objects a second would be a load itself.
            ready = await _ready(api) if done >= accounts else min(done, accounts - 1)
            peak = max(peak, operator.memory())
            progress.update(bar, completed=ready)
    return time.monotonic() - began, peak


async def _ready(api: ApiServer) -> int:
    counted: Counter[str] = Counter()
    async for page in api.pages(ACCOUNTS):
        for body in page:
            conditions = body.get("status", {}).get("conditions", ())
            counted.update(c["status"] for c in conditions if c["type"] == "Ready")
    return counted["True"]


def _account(number: int) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Account",
        "metadata": {"name": f"team-{number:05}", "namespace": NAMESPACE},
        "spec": {"displayName": f"Team {number}", "quota": {"limit": 1000 + number}},
    }


async def _limit(api: ApiServer, accounts: int) -> float:
    """Accounts a second, if somebody else did all the thinking."""

    async def one(number: int) -> None:
        body = await api.create(ACCOUNTS, {**_account(number), "metadata": {"name": f"limit-{number}"}})
        path, uid = f"{ACCOUNTS}/limit-{number}", body["metadata"]["uid"]
        await api.merge(path, {"metadata": {"finalizers": ["luna.dev/benchmark"]}})
        owner = {"apiVersion": API_VERSION, "kind": "Account", "name": f"limit-{number}", "uid": uid}
        secret = {"metadata": {"name": f"limit-{number}", "ownerReferences": [owner]}, "data": {"api-key": "a" * 64}}
        await api.create(f"/api/v1/namespaces/{NAMESPACE}/secrets", secret)
        await api.merge(f"{path}/status", {"status": _STATUS})
        await api.create(f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events", _event(number, uid))

    began = time.monotonic()
    await _each(accounts, one)
    seconds = time.monotonic() - began

    await _each(accounts, lambda i: api.merge(f"{ACCOUNTS}/limit-{i}", {"metadata": {"finalizers": None}}))
    return accounts / seconds


_STATUS = {
    "observedGeneration": 1,
    "accountId": 1,
    "secretName": "limit",
    "usage": {"limit": 1, "used": 0, "remaining": 1, "asOf": "2026-01-01T00:00:00Z"},
    "conditions": [
        {
            "type": kind,
            "status": "True",
            "reason": "Synced",
            "message": "What a condition usually says, some sixty characters.",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        for kind in ("Ready", "DatabaseSynced", "QuotaSynced", "KeyIssued", "Suspended", "Expired", "QuotaExhausted")
    ],
}


def _event(number: int, uid: str) -> dict[str, Any]:
    return {
        "metadata": {"name": f"limit-{number}", "namespace": NAMESPACE},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "type": "Normal",
        "reason": "KeyIssued",
        "action": "IssueKey",
        "note": "A note of the usual length, about a key that stands in a Secret.",
        "reportingController": "luna.dev/benchmark",
        "reportingInstance": "benchmark",
        "regarding": {"kind": "Account", "name": f"limit-{number}", "namespace": NAMESPACE, "uid": uid},
    }


async def _each(count: int, call: Any) -> None:  # noqa: ANN401
    """Call with 0 to count - 1, some at a time."""
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await call(number)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


def _cpu(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system

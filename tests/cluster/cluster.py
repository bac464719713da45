"""A control plane without nodes on loopback: etcd, kube-apiserver with TLS and RBAC, kube-controller-manager.

What runs is what production runs, so validation, admission, server-side apply, watches, rights and garbage collection
are real. There is no scheduler and no kubelet: Pods stay Pending.
"""

from __future__ import annotations

import secrets
import shutil
import signal
import ssl
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Self

from tests.cluster.credentials import Credentials, write_credentials
from tests.cluster.kubernetes import Kubernetes, kubeconfig, write_private

from luna_serving.local.data_folder.errors import ServerDiedError
from luna_serving.local.data_folder.ports import LOOPBACK, free_port
from luna_serving.local.servers.process import ServerProcess, wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Ready in about 6 s on two idle cores; a busy machine may need many times that.
_START_S = 120.0
_ATTEMPTS = 3

# Those whose work a test can see without nodes.
_CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
)


class Cluster(Kubernetes):
    """A cluster of our own, from `start` to `stop`; a context manager. Several may run side by side."""

    def __init__(self, folder: Path, assets: Path, crds: Sequence[Path] = ()) -> None:
        """Prepare a cluster whose data, keys and logs live in `folder`, of the programs in `assets`.

        `crds` are applied before the controller manager starts: it looks for new kinds only every 30 s, and until it
        knows an owner's kind it collects none of that owner's objects.
        """
        super().__init__(folder / "admin.kubeconfig", assets, folder)
        self._crds = crds
        self._running: dict[str, ServerProcess] = {}

    @property
    def collects_garbage(self) -> bool:
        """Whether there is a controller manager; setup-envtest's folder has none."""
        return (self.assets / "kube-controller-manager").is_file()

    def start(self) -> None:
        """Start the servers and wait until they answer.

        Raises:
            ServerDiedError: one did not come up; the message shows the end of its log.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        keys = write_credentials(self._folder)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._start(keys)
            except ServerDiedError as error:
                self.stop()
                # Nobody reserves a port between finding and binding it.
                if attempt == _ATTEMPTS or "address already in use" not in error.log_tail:
                    raise
            except BaseException:
                self.stop()
                raise
            else:
                return

    def _start(self, keys: Credentials) -> None:
        etcd_url = f"http://{LOOPBACK}:{free_port()}"
        self._launch(
            "etcd",
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls={etcd_url}",
            f"--advertise-client-urls={etcd_url}",
            f"--listen-peer-urls=http://{LOOPBACK}:0",
            # The data are worth nothing after a crash.
            "--unsafe-no-fsync",
            # Ten thousand objects that change often, between two compactions.
            f"--quota-backend-bytes={8 * 2**30}",
            "--log-level=warn",
        )
        port, token = free_port(), secrets.token_hex(16)
        tokens = self._folder / "tokens.csv"
        write_private(tokens, f'{token},admin,admin,"system:masters"\n')
        server = f"https://{LOOPBACK}:{port}"
        # Another port than the one that an earlier attempt lost.
        self.__dict__.pop("url", None)
        write_private(
            self.kubeconfig, kubeconfig({"server": server, "certificate-authority-data": keys.ca_data}, token)
        )
        wait_until(lambda: _answers(f"{etcd_url}/health"), self._running["etcd"], _START_S)
        self._launch("kube-apiserver", *_api_server_flags(keys, etcd_url, port, tokens))
        trusted = ssl.create_default_context(cafile=str(keys.ca))
        wait_until(lambda: _answers(f"{server}/readyz", trusted, token), self._running["kube-apiserver"], _START_S)
        if self._crds:
            self.apply_crds(*self._crds)
        if self.collects_garbage:
            manager = self._launch("kube-controller-manager", *_controller_manager_flags(keys, self.kubeconfig))
            account = f"{server}/api/v1/namespaces/default/serviceaccounts/default"
            wait_until(lambda: _answers(account, trusted, token), manager, _START_S)

    def _launch(self, name: str, *flags: str) -> ServerProcess:
        log = self._folder / f"{name}.log"
        process = ServerProcess(
            [str(self.assets / name), *flags], log_file=log, death_signal=signal.SIGKILL, cwd=self._folder
        )
        self._running[name] = process
        return process

    def pids(self) -> dict[str, int]:
        """Process ids of the running servers by name, for measurements."""
        return {name: process.pid for name, process in self._running.items()}

    def stop(self) -> None:
        """End the servers, the last one started first, within about 5 s; keep logs and keys, drop the data."""
        while self._running:
            name, process = self._running.popitem()
            # The API server would wait up to a minute for watches to end, and no client reads its answers any more.
            process.stop((signal.SIGTERM, 1.5 if name == "etcd" else 0.5))
        shutil.rmtree(self._folder / "etcd", ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _api_server_flags(keys: Credentials, etcd_url: str, port: int, tokens: Path) -> list[str]:
    return [
        f"--etcd-servers={etcd_url}",
        f"--bind-address={LOOPBACK}",
        f"--advertise-address={LOOPBACK}",
        f"--secure-port={port}",
        f"--tls-cert-file={keys.server_certificate}",
        f"--tls-private-key-file={keys.server_key}",
        f"--token-auth-file={tokens}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={keys.tokens_key}",
        f"--service-account-key-file={keys.tokens_public_key}",
        "--service-cluster-ip-range=10.96.0.0/16",
        # No endpoint of the `kubernetes` service can be written: a loopback address is no valid one.
        "--endpoint-reconciler-type=none",
        "--allow-privileged=true",
        "--profiling=false",
    ]


def _controller_manager_flags(keys: Credentials, admin: Path) -> list[str]:
    return [
        f"--kubeconfig={admin}",
        f"--controllers={','.join(_CONTROLLERS)}",
        f"--root-ca-file={keys.ca}",
        f"--service-account-private-key-file={keys.tokens_key}",
        "--leader-elect=false",
        "--secure-port=0",
        "--profiling=false",
        # Thousands of objects are collected after a benchmark: the default of 20 a second would take minutes.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    ]


def _answers(url: str, context: ssl.SSLContext | None = None, token: str = "") -> bool:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=5, context=context) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False

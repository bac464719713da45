"""One cluster, as its kubeconfig shows it: kubectl, helm, namespaces that go away again, service accounts' own access.

All goes through kubectl, so that whatever a developer's KUBECONFIG needs (client certificates, `exec` plugins) works.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# Long for one command, short next to the 300 s of a test.
_COMMAND_S = 90


class ProgramMissingError(RuntimeError):
    """Neither the assets nor PATH hold the program: `make cluster-assets`, or install it."""


class CommandFailedError(RuntimeError):
    """kubectl or helm ended with another status than 0; the message holds what it wrote."""


class Kubernetes:
    """What a test may ask of a cluster.

    Attributes:
        kubeconfig: file whose current context is the cluster, with all rights.
        assets: folder that holds `kubectl`, `helm` and `crds/`.
    """

    def __init__(self, kubeconfig: Path, assets: Path, folder: Path) -> None:
        """Use the cluster of `kubeconfig`; `folder` takes kubectl's cache and further kubeconfigs."""
        self.kubeconfig = kubeconfig
        self.assets = assets
        self._folder = folder

    @cached_property
    def url(self) -> str:
        """Address of the API server."""
        return self.kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")

    @property
    def environment(self) -> dict[str, str]:
        """Environment for programs that shall speak to this cluster: the process's own, with KUBECONFIG and caches."""
        return os.environ | {
            "KUBECONFIG": str(self.kubeconfig),
            # A test leaves nothing in the home folder; another run's cluster on this port knew other kinds.
            "KUBECACHEDIR": str(self._folder / "kubectl-cache"),
            "HELM_CACHE_HOME": str(self._folder / "helm-cache"),
            "HELM_CONFIG_HOME": str(self._folder / "helm-config"),
            "HELM_DATA_HOME": str(self._folder / "helm-data"),
        }

    def program(self, name: str) -> Path:
        """Path of `kubectl` or `helm`: of the assets, else of PATH.

        Raises:
            ProgramMissingError: it is in neither.
        """
        if (bundled := self.assets / name).is_file():
            return bundled
        if found := shutil.which(name):
            return Path(found)
        raise ProgramMissingError(f"{name} is neither in {self.assets} nor on PATH: run `make cluster-assets`")

    def kubectl(self, *args: object, input: str | None = None, check: bool = True) -> str:  # noqa: A002 - as in subprocess
        """Run kubectl and return its standard output; without `check` also that of failures.

        Raises:
            CommandFailedError: it failed, and `check` is set.
        """
        return self._run("kubectl", args, text=input, check=check)

    def helm(self, *args: object, input: str | None = None, check: bool = True) -> str:  # noqa: A002
        """Run helm, as `kubectl` runs kubectl."""
        return self._run("helm", args, text=input, check=check)

    def get(self, *args: object) -> dict[str, Any]:
        """Return what `kubectl get ... -o json` shows."""
        shown: dict[str, Any] = json.loads(self.kubectl("get", *args, "-o", "json"))
        return shown

    def apply(self, manifest: str | dict[str, Any]) -> None:
        """Apply one object, or a YAML text of several, server-side."""
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=text)

    def apply_crds(self, *paths: Path) -> None:
        """Apply files of CustomResourceDefinitions, or folders of such files, and wait until they are served."""
        files = [argument for path in paths for argument in ("-f", path)]
        # Server-side: KubeRay's are too long for the annotation that client-side apply writes.
        self.kubectl("apply", "--server-side", "--force-conflicts", *files)
        self.kubectl("wait", "--for=condition=Established", "--timeout=30s", *files)

    @contextmanager
    def namespace(self, prefix: str = "test") -> Iterator[str]:
        """Make a namespace of a fresh name; afterwards delete it, and free the Accounts that a finalizer holds.

        The controller manager empties a deleted namespace only after 5 s, so nobody waits for it. Accounts go at
        once: the operator of the next test, with another database, would find them.
        """
        name = f"{prefix}-{secrets.token_hex(4)}"
        self.kubectl("create", "namespace", name)
        try:
            yield name
        finally:
            self._remove_accounts(name)
            self.kubectl("delete", "namespace", name, "--wait=false")

    def _remove_accounts(self, namespace: str) -> None:
        where = ("--namespace", namespace)
        # check=False: without the CRD there are no accounts.
        accounts = self.kubectl("get", "accounts.luna.dev", *where, "-o", "name", "--ignore-not-found", check=False)
        if not accounts.startswith("account.luna.dev/"):
            return
        self.kubectl("delete", "accounts.luna.dev", "--all", "--wait=false", *where)
        remaining = self.kubectl("get", "accounts.luna.dev", *where, "-o", "name", "--ignore-not-found").split()
        no_finalizers = ("--type=merge", "--patch", '{"metadata": {"finalizers": null}}')
        for account in remaining:
            self.kubectl("patch", account, *where, *no_finalizers, check=False)

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Write a kubeconfig that speaks as an existing service account, for an hour, and return its path."""
        token = self.kubectl("create", "token", name, "--namespace", namespace, "--duration=1h").strip()
        view = json.loads(self.kubectl("config", "view", "--minify", "--raw", "--flatten", "-o", "json"))
        config = kubeconfig(view["clusters"][0]["cluster"], token, namespace)
        path = self._folder / f"{namespace}-{name}.kubeconfig"
        write_private(path, config)
        return path

    def _run(self, name: str, args: tuple[object, ...], *, text: str | None, check: bool) -> str:
        command = [str(self.program(name)), *map(str, args)]
        run = subprocess.run(
            command,
            input=text,
            # Never the terminal: a prompt would wait without end.
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            timeout=_COMMAND_S,
            env=self.environment,
            check=False,
        )
        if not check:
            return run.stdout + run.stderr
        if run.returncode:
            said = (run.stderr or run.stdout).strip()
            raise CommandFailedError(f"{name} {' '.join(command[1:])} ended with {run.returncode}:\n{said}")
        return run.stdout


def kubeconfig(cluster: dict[str, str], token: str, namespace: str = "default") -> str:
    """Return a kubeconfig of one context; `cluster` is its `server` and certificate authority."""
    context = {"cluster": "luna", "user": "luna", "namespace": namespace}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "luna", "cluster": cluster}],
            "users": [{"name": "luna", "user": {"token": token}}],
            "contexts": [{"name": "luna", "context": context}],
            "current-context": "luna",
        }
    )


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads."""
    path.touch(mode=0o600)
    path.write_text(text)

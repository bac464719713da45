"""What is made of a Go module by itself: programs built with the module's own go.sum, and folders copied out of it."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cluster.golang import Go
    from tests.cluster.steps import Step


@dataclass(frozen=True)
class ModuleProgram:
    """A program of a Go module whose versions are not those of tools/go.mod.

    The checksum pins the module; the go.sum inside it pins everything that it needs.
    """

    module: str
    version: str
    # As a go.sum has it.
    checksum: str
    # Relative to the module's root.
    package: str
    # A main.go of ours that becomes `package`: a program with fewer parts than the module's own.
    main: Path | None = None

    def __str__(self) -> str:
        """Return its pin."""
        ours = f" {self.main.read_text()}" if self.main else ""
        return f"{self.module} {self.version} {self.checksum} {self.package}{ours}"

    def make(self, go: Go, program: Path, shown: Step) -> None:
        """Build it as `program`.

        Raises:
            AssetUnavailableError: it cannot be downloaded, is another one than pinned, or does not compile.
        """
        files = go.module(self.module, self.version, self.checksum)
        # `replace` directives count in the main module only, and the module cache is read-only.
        with tempfile.TemporaryDirectory(dir=program.parent) as copy:
            source = Path(copy) / "source"
            _copy_writable(files, source)
            if self.main:
                (source / self.package).mkdir(parents=True)
                shutil.copyfile(self.main, source / self.package / "main.go")
            go.download_dependencies([self.package], source)
            go.build(self.package, program, shown, source=source)


@dataclass(frozen=True)
class ModuleFolder:
    """Folders of files that a Go module holds, such as a program's Kubernetes manifests."""

    module: str
    version: str
    checksum: str
    folders: tuple[str, ...]

    def __str__(self) -> str:
        """Return its pin."""
        return f"{self.module} {self.version} {self.checksum} {' '.join(self.folders)}"

    def make(self, go: Go, place: Path, _shown: Step) -> None:
        """Copy the folders, each under its last name, into `place`.

        Raises:
            AssetUnavailableError: the module cannot be downloaded, or is another one than pinned.
        """
        files = go.module(self.module, self.version, self.checksum)
        for folder in self.folders:
            _copy_writable(files / folder, place / Path(folder).name)


def _copy_writable(source: Path, copy: Path) -> None:
    # Neither files nor folders keep their mode: those of the module cache are read-only.
    for path in sorted(source.rglob("*")):
        target = copy / path.relative_to(source)
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)

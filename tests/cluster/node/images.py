"""Images of the node, each named after a digest of what it is made of: built once, and again after a change."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.node.base import make_bases
from tests.cluster.steps import step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.cluster.node.layout import Layout
    from tests.cluster.node.podman import Podman

ROOT = Path(__file__).resolve().parents[3]
_RECIPES = Path(__file__).parent / "images"
# What .dockerignore lets through, without what only one of the two images has.
_SHARED = ("pyproject.toml", "requirements.txt", "README.md", "LICENSE", "serving/luna_serving", "migrations")


@dataclass(frozen=True)
class Images:
    """Names of the images that a node with Luna runs."""

    base: str
    valkey_base: str
    pause: str
    kuberay: str
    postgres: str
    valkey: str
    seaweedfs: str
    operator: str
    serving: str

    @property
    def _stores(self) -> tuple[str, ...]:
        return (self.valkey, self.postgres, self.seaweedfs)

    @property
    def run_by_the_node(self) -> tuple[str, ...]:
        """Those that have to be loaded, the small ones first."""
        return (self.pause, self.kuberay, *self._stores, self.operator, self.serving)


def names(layout: Layout) -> Images:
    """Return the names that this checkout's images have, built or not."""
    base = _name("luna-base", [Path(__file__).parent / "base.py"])
    recipe = {name: _RECIPES / f"{name}.Dockerfile" for name in ("program", "postgres", "valkey", "seaweedfs")}
    stores = [ROOT / "requirements.txt", Path(__file__).parent / "base.py"]
    return Images(
        base=base,
        valkey_base=base.replace("luna-base", "luna-valkey-base"),
        pause=_name("luna-pause", [recipe["program"], layout.programs / "pause"]),
        kuberay=_name("kuberay-operator", [recipe["program"], layout.programs / "kuberay-operator"]),
        postgres=_name("luna-postgres", [recipe["postgres"], _RECIPES / "postgres-entrypoint", *stores]),
        valkey=_name("luna-valkey", [recipe["valkey"], *stores]),
        seaweedfs=_name("luna-seaweedfs", [recipe["seaweedfs"], *stores]),
        operator=_name("luna-operator", _luna("operator", "operator/luna_operator")),
        serving=_name("luna-serving", _luna("serving")),
    )


def build(layout: Layout, podman: Podman) -> Images:
    """Build what is missing, and remove what is of older content.

    Raises:
        NodeError: an image cannot be built; its log is named.
    """
    wanted, there = names(layout), podman.names()
    if not {wanted.base, wanted.valkey_base} <= there:
        with step("Base image of this machine's packages"):
            make_bases(podman, wanted.base, wanted.valkey_base, layout.images, layout.logs / "base.log")
    for image, program in ((wanted.pause, "pause"), (wanted.kuberay, "kuberay-operator")):
        if image not in there:
            with step(f"Image of {program}"):
                _build_program(podman, image, layout, program)
    for image, name, base in (
        (wanted.postgres, "postgres", wanted.base),
        (wanted.valkey, "valkey", wanted.valkey_base),
        (wanted.seaweedfs, "seaweedfs", wanted.base),
    ):
        if image not in there:
            with step(f"Image of {name}"):
                _build_store(podman, image, layout, name, base)
    for image, name in ((wanted.operator, "operator"), (wanted.serving, "serving")):
        if image not in there:
            with step(f"Image of Luna: {name}"):
                log = layout.logs / f"image-{name}.log"
                podman.build(image, ROOT / name / "Dockerfile", ROOT, log, base=wanted.base)
    for old in superseded(there, wanted):
        podman.remove(old)
    return wanted


def superseded(there: Iterable[str], wanted: Images) -> list[str]:
    """Return names of earlier content of the wanted images."""
    now = set(vars(wanted).values())
    repositories = {name.rpartition(":")[0] for name in now}
    return sorted(name for name in there if name not in now and name.rpartition(":")[0] in repositories)


def _build_program(podman: Podman, image: str, layout: Layout, program: str) -> None:
    with tempfile.TemporaryDirectory(dir=layout.images) as context:
        shutil.copy(layout.programs / program, Path(context) / "program")
        recipe = _RECIPES / "program.Dockerfile"
        podman.build(image, recipe, Path(context), layout.logs / f"image-{program}.log")


def _build_store(podman: Podman, image: str, layout: Layout, name: str, base: str) -> None:
    with tempfile.TemporaryDirectory(dir=layout.images) as context:
        for file in (ROOT / "requirements.txt", _RECIPES / "postgres-entrypoint"):
            shutil.copy(file, context)
        podman.build(
            image, _RECIPES / f"{name}.Dockerfile", Path(context), layout.logs / f"image-{name}.log", base=base
        )


def _luna(name: str, *more: str) -> list[Path]:
    own = (f"{name}/Dockerfile", f"{name}/development")
    return [*(ROOT / path for path in (*_SHARED, *own, *more)), Path(__file__).parent / "base.py"]


def _name(repository: str, inputs: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for given in inputs:
        for path in sorted(given.rglob("*")) if given.is_dir() else [given]:
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc":
                digest.update(f"{path.relative_to(given.parent)}\0{path.stat().st_mode & 0o111}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    # A letter first: a tag of digits alone would reach the chart as a number.
    return f"localhost/{repository}:c{digest.hexdigest()[:12]}"

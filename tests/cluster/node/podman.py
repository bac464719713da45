"""podman with a storage of its own: builds images for the node and leaves the user's images and settings alone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.cluster.node.shell import NodeError, run

_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{root}/storage"
runroot = "{root}/run"
"""
# crun wants cgroups that nested machines lack, and podman's own limits may be above what the machine grants.
_CONTAINERS = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "{root}/tmp"
"""


class Podman:
    """Images in `root`, by their local names."""

    def __init__(self, root: Path) -> None:
        """Write podman's configuration into `root`."""
        root.mkdir(parents=True, exist_ok=True)
        self.environment = {
            "CONTAINERS_STORAGE_CONF": str(root / "storage.conf"),
            "CONTAINERS_CONF": str(root / "containers.conf"),
        }
        (root / "storage.conf").write_text(_STORAGE.format(root=root))
        (root / "containers.conf").write_text(_CONTAINERS.format(root=root))

    def names(self) -> set[str]:
        """Return the names of all images, each with its tag."""
        shown = run("podman", "images", "--format", "{{.Repository}}:{{.Tag}}", environment=self.environment)
        return set(shown.split())

    def remove(self, image: str) -> None:
        """Remove a name, and what no other image needs."""
        run("podman", "rmi", "--force", image, environment=self.environment)

    def packed(self, image: str) -> subprocess.Popen[bytes]:
        """Start to write `image` to a pipe, in the one format whose layers podman does not compress."""
        return subprocess.Popen(
            ["podman", "save", "--quiet", "--format", "docker-archive", image],
            stdout=subprocess.PIPE,
            env=os.environ | self.environment,
        )

    def build(self, image: str, dockerfile: Path, context: Path, log: Path, *, base: str = "") -> None:
        """Build `image` of a Dockerfile; `base` is its build argument BASE_IMAGE.

        Raises:
            NodeError: it cannot be built.
        """
        command = ("podman", "build", *build_options(base), "--file", dockerfile, "--tag", image, context)
        run(*command, log=log, environment=self.environment)

    def import_folder(self, image: str, root: Path) -> None:
        """Make `image` of a root file system, without what apt downloaded.

        Raises:
            NodeError: tar or podman failed.
        """
        leave = ("--exclude=./var/cache/apt/archives/*.deb", "--exclude=./var/cache/apt/*.bin")
        pack = ["tar", f"--directory={root}", *leave, "--exclude=./var/lib/apt/lists/*", "--create", "."]
        with subprocess.Popen(pack, stdout=subprocess.PIPE) as packing:
            imported = subprocess.run(
                ["podman", "import", "--quiet", "-", image],
                stdin=packing.stdout,
                capture_output=True,
                text=True,
                env=os.environ | self.environment,
                check=False,
            )
        if packing.returncode or imported.returncode:
            raise NodeError(f"{image} cannot be made of {root}: {imported.stderr.strip()}")


def build_options(base: str) -> list[str]:
    """Return options for a build with the host's network, settings of pip and certificates; no layer holds these."""
    options = ["--pull=never", "--network=host"]
    if base:
        options.append(f"--build-arg=BASE_IMAGE={base}")
    given = [name for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST") if name in os.environ]
    options += [f"--build-arg={name}" for name in given]
    settings = Path(os.environ.get("PIP_CONFIG_FILE", "/etc/pip.conf"))
    if settings.is_file():
        options.append(f"--secret=id=pip,src={settings}")
    if _CERTIFICATES.is_file():
        options += [f"--secret=id=ca,src={_CERTIFICATES}", "--build-arg=PIP_CERT=/run/secrets/ca"]
    return options

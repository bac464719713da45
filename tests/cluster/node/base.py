"""The base image, made of this machine's own packages: what python:3.11-slim is where a registry is reachable."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.node.shell import NodeError, run

if TYPE_CHECKING:
    from tests.cluster.node.podman import Podman

_PACKAGES = ("python3", "python3-venv", "ca-certificates", "wget")
# Beside these the image of Valkey needs redis-cli.
_CLIENT = "redis-tools"
_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"


def make_bases(podman: Podman, base: str, valkey_base: str, folder: Path, log: Path) -> None:
    """Import two images: `base`, and `valkey_base` with redis-cli in addition. Two minutes and 0.5 GB below `folder`.

    Raises:
        NodeError: debootstrap failed; `log` says why.
    """
    suite, components = release(Path("/etc/os-release").read_text())
    with tempfile.TemporaryDirectory(dir=folder, prefix="base-") as scratch:
        for image, packages in ((base, _PACKAGES), (valkey_base, (*_PACKAGES, _CLIENT))):
            root = Path(scratch) / "root"
            options = (f"--components={components}", f"--include={','.join(packages)}")
            run("debootstrap", "--variant=minbase", *options, suite, root, archive(suite), log=log)
            # Certificates of a network that inspects TLS, which builds inside the image have to trust, too.
            shutil.copyfile(f"/{_CERTIFICATES}", root / _CERTIFICATES)
            podman.import_folder(image, root)
            shutil.rmtree(root)


def release(os_release: str) -> tuple[str, str]:
    """Return the suite of this machine, such as `bookworm`, and the components that hold python3-venv.

    Raises:
        NodeError: it is neither Debian nor Ubuntu.
    """
    values = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', os_release, re.MULTILINE))
    family = {values.get("ID", ""), *values.get("ID_LIKE", "").split()}
    suite = values.get("UBUNTU_CODENAME") or values.get("VERSION_CODENAME", "")
    if not suite or not family & {"debian", "ubuntu"}:
        raise NodeError("This is neither Debian nor Ubuntu: its base image cannot be made by debootstrap")
    return suite, "main,universe" if "ubuntu" in family else "main"


def archive(suite: str) -> str:
    """Return the address of the archive that apt uses for `suite` on this machine.

    Raises:
        NodeError: apt knows none.
    """
    shown = run("apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)")
    for line in shown.splitlines():
        codename, _, address = line.partition(" ")
        if codename == suite and address:
            return address.removesuffix(f"dists/{suite}/")
    raise NodeError(f"apt has no source of {suite}: debootstrap needs one")

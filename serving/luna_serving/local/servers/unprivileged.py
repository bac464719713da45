"""Runs Postgres for a root user: Postgres refuses to run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from luna_serving.local.data_folder.errors import NoUnprivilegedUserError

_PROBE = """
import os, sys
if os.geteuid() == 0:
    sys.exit("the user is still root")
os.execv(sys.argv[1], [sys.argv[1], "--version"])
"""


@dataclass(frozen=True)
class RunAs:
    """A way to run a program.

    Attributes:
        through: a command that executes its remaining arguments as the other user, in place.
        uid: owner, as this process sees it, of the program's files.
        gid: their group.
    """

    through: tuple[str, ...]
    uid: int
    gid: int

    def own(self, folder: Path) -> None:
        """Change the owner of a folder and its contents, if another way was used before."""
        if os.geteuid() != 0 or folder.stat().st_uid == self.uid:
            return
        for path in (folder, *folder.rglob("*")):
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def in_user_namespace() -> RunAs:
    """Use a new user namespace, in which this user is nobody: initdb requires a user id with a name.

    For files the user is still root, so the program can reach paths below folders of mode 0700.
    """
    unshare = shutil.which("unshare") or "unshare"
    nobody = pwd.getpwnam("nobody")
    names = (f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}")
    return RunAs((unshare, "-U", *names), os.geteuid(), os.getegid())


def as_nobody() -> RunAs:
    """Use the user `nobody`, for containers that forbid user namespaces (Docker's default seccomp profile).

    It keeps CAP_DAC_OVERRIDE, which Docker grants to root, so that it can reach paths below closed folders.
    """
    setpriv = shutil.which("setpriv") or "setpriv"
    nobody = pwd.getpwnam("nobody")
    return RunAs(
        (
            setpriv,
            f"--reuid={nobody.pw_uid}",
            f"--regid={nobody.pw_gid}",
            "--clear-groups",
            "--inh-caps=+dac_override",
            "--ambient-caps=+dac_override",
        ),
        nobody.pw_uid,
        nobody.pw_gid,
    )


WAYS = (in_user_namespace, as_nobody) if sys.platform == "linux" else ()
"""The ways for root, the best first."""


def run_as_for(binary: Path) -> RunAs:
    """Choose how to run `binary`: directly for an ordinary user; for root the first way that works.

    A way works if `binary --version` succeeds with it, which also shows that the program is reachable.

    Raises:
        NoUnprivilegedUserError: root, and no way works; says why.
    """
    if os.geteuid() != 0:
        return RunAs((), os.geteuid(), os.getegid())
    failures: list[str] = []
    for way in WAYS:
        try:
            run_as = way()
            # Through Python, as in ServerProcess.
            probe = [*run_as.through, sys.executable, "-I", "-S", "-c", _PROBE, str(binary)]
            subprocess.run(probe, check=True, capture_output=True, text=True, timeout=10)  # noqa: S603 - ours
        except subprocess.CalledProcessError as error:
            failures.append(f"{Path(error.cmd[0]).name}: {error.stderr.strip() or error}")
        except (OSError, KeyError, subprocess.TimeoutExpired) as error:
            failures.append(f"{way.__name__}: {error}")
        else:
            return run_as
    raise NoUnprivilegedUserError(
        "Postgres refuses to run as root, and this machine offers no way to run it as another user"
        + "".join(f"\n  {failure}" for failure in failures)
        + "\nStart Luna as an ordinary user, or set DATABASE_URL to a Postgres server of your own."
    )

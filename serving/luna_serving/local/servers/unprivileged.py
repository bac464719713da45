"""How a root user runs Postgres, which refuses to run as root."""

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
        through: the command that executes the rest of its arguments as the other user, in place.
        uid: owner, as this process sees it, of the files that the program may keep.
        gid: their group.
    """

    through: tuple[str, ...]
    uid: int
    gid: int

    def own(self, folder: Path) -> None:
        """Give a folder and what is in it to the user, if another one of the ways was used before."""
        if os.geteuid() != 0 or folder.stat().st_uid == self.uid:
            return
        for path in (folder, *folder.rglob("*")):
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def in_user_namespace() -> RunAs:
    """Take a new user namespace, in which we are called nobody: initdb wants a user id that has a name.

    As the owner of files we are still root, so the program reaches what stands below folders that are closed
    to all others (mode 0700).
    """
    unshare = shutil.which("unshare") or "unshare"
    nobody = pwd.getpwnam("nobody")
    names = (f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}")
    return RunAs((unshare, "-U", *names), os.geteuid(), os.getegid())


def as_nobody() -> RunAs:
    """Take the user `nobody`, for containers that forbid user namespaces (Docker's default seccomp profile).

    It keeps CAP_DAC_OVERRIDE, which Docker leaves to root, so that closed parent folders are no obstacle.
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
"""What root may try, the best first."""


def run_as_for(binary: Path) -> RunAs:
    """Choose how to run `binary`: plainly for an ordinary user; for root the first way that works.

    Works means that `binary --version` succeeds through it, which also proves that the program is reachable.

    Raises:
        NoUnprivilegedUserError: root, and neither way works; says why.
    """
    if os.geteuid() != 0:
        return RunAs((), os.geteuid(), os.getegid())
    failures: list[str] = []
    for way in WAYS:
        try:
            run_as = way()
            # Python stands between, as it will in ServerProcess.
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

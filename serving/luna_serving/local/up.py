"""`luna up`: runs the whole platform on this machine.

Environment variables that it reads (all optional):

- DATABASE_URL, REDIS_URL, S3_ENDPOINT (and the other S3_ variables): servers to use instead of the embedded ones.
- LUNA_PEPPERS: `name:secret[,name:secret]` instead of the pepper kept in the data folder.
- LUNA_PROXY: `serve` uses Serve's own proxy even if HAProxy is installed.
- LUNA_*: every field of `luna_serving.settings.Settings`.
- RAY_SERVE_*: the tunables of `ray_environment`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from luna_serving.local.data_folder import env_file
from luna_serving.local.data_folder.errors import BinaryMissingError, LocalServerError, PortInUseError
from luna_serving.local.data_folder.folder import DataFolder
from luna_serving.local.data_folder.ports import LOOPBACK, free_port
from luna_serving.local.data_folder.run_folder import RunFolder
from luna_serving.local.demo_limits import EMAIL, NAME, DemoLimits
from luna_serving.local.greeting import answers, first_call
from luna_serving.local.parts import Parts
from luna_serving.local.progress import Progress
from luna_serving.local.signals import Signals, StopRequested

if TYPE_CHECKING:
    from pathlib import Path

    from luna_serving.local.demo import DemoAccount


class CannotStart(LocalServerError):
    """A dependency cannot be used; the message names it and the cure."""


class PartDied(LocalServerError):
    """A part that cannot be restarted ended; start Luna again, its data is kept."""


APP = "luna_serving.app"
# Capabilities that use the server's market.
PRICED = frozenset({"market", "indicators"})
# Variables that are not settings of the application.
OTHER_VARIABLES = frozenset({"LUNA_PEPPERS", "LUNA_PROXY"})

# Seconds for a start; on two busy cores it has taken 95 s.
_READY_S = 300.0
_WATCH_EVERY_S = 0.2


@dataclass(frozen=True)
class UpOptions:
    """The arguments of `luna up`."""

    data_dir: Path
    port: int
    """0 for any free port."""
    limits: DemoLimits
    only: str = ""
    """The capabilities to serve, separated by commas; by default all."""
    app: str = APP
    """The module whose CAPABILITIES are served."""


def up(options: UpOptions) -> int:
    """Run Luna until it is stopped; returns the exit status."""
    progress = Progress()
    if options.only:
        os.environ["LUNA_ONLY"] = options.only  # of this process and of those that it starts
    folder = DataFolder(options.data_dir)
    try:
        folder.acquire()
    except (LocalServerError, OSError) as error:
        progress.fail(str(error))
        return 1
    try:
        # Removed at once, so that no program reads the URLs of an earlier Luna.
        (folder.path / env_file.ENV).unlink(missing_ok=True)
        with Signals() as signals:
            return _run(options, folder, progress, signals)
    finally:
        folder.release()


def _run(options: UpOptions, folder: DataFolder, progress: Progress, signals: Signals) -> int:
    parts: Parts | None = None
    failed = True
    try:
        _clear_left_over(folder, progress)
        parts = Parts(folder)
        _start(options, folder, parts, progress)
        _watch(parts, progress)
    except StopRequested:
        failed = False
    except (LocalServerError, OSError) as error:
        progress.fail(str(error))
    finally:
        signals.begin_stop()
        (folder.path / env_file.ENV).unlink(missing_ok=True)
        if parts is not None:
            with progress.step("Stopped") if parts.started else nullcontext():
                kept = parts.stop(signals.hurry, keep_ray_logs=failed)
            if kept is not None:
                progress.say(f"Ray's logs: {kept}")
    return 1 if failed else 0


def _start(options: UpOptions, folder: DataFolder, parts: Parts, progress: Progress) -> None:
    begun = time.monotonic()
    _check_settings(options)
    port = _usable(options.port)
    given = {name for name in ("DATABASE_URL", "REDIS_URL", "S3_ENDPOINT") if os.environ.get(name)}
    if "S3_ENDPOINT" not in given:
        parts.begin_objects()
    proxy = parts.begin_serve(port, options.app)
    if "DATABASE_URL" not in given:
        with progress.step("Postgres"):
            parts.start_postgres()
    if "REDIS_URL" not in given:
        with progress.step("Valkey"):
            parts.start_valkey()
    peppers = os.environ.get("LUNA_PEPPERS") or env_file.local_peppers(folder)
    with progress.step("Migrations and the demo account"):
        account, tiers = _prepare(folder, parts, peppers, options.limits)
    parts.start_settlement()
    if "S3_ENDPOINT" not in given:
        finish_objects(parts, progress)
    if _wants_prices(options):
        if parts.objects:
            parts.begin_demo_prices()
        else:
            progress.say("Without demo prices: they need an object store")
    with progress.step(f"Ray Serve on {LOOPBACK}:{port}"):
        parts.start_serve(peppers)
        _wait_until_ready(parts, port)
    if said := parts.finish_demo_prices():
        progress.say(said)
    if proxy == "serve":
        progress.say("Using Serve's own proxy. HAProxy, on Linux only, is several times faster")
    url = f"http://{LOOPBACK}:{port}"
    env_file.write_env(
        folder,
        {
            "LUNA_URL": url,
            "LUNA_ACCOUNT_ID": str(account.id),
            "LUNA_API_KEY": account.key,
            **{name: value for each in tiers for name, value in each.items()},
            "LUNA_EMAIL": EMAIL,
            "LUNA_PASSWORD": account.password,
            "DATABASE_URL": parts.database_url,
            "REDIS_URL": parts.redis_url,
            **parts.objects,
        },
    )
    progress.say(f"Ready after {time.monotonic() - begun:.1f} s")
    if account.state != "active":
        progress.say(f"The demo account is {account.state}: luna account resume {NAME}")
    sys.stdout.write(
        f"\n{first_call(url, account.id, account.key, served=options.only)}\n\n"
        f"Documentation: {url}/docs\n"
        f"URL, account, key and password: {folder.path / env_file.ENV}\n"
        "Stop with Ctrl-C.\n"
    )
    sys.stdout.flush()


def _wants_prices(options: UpOptions) -> bool:
    """Whether the capabilities that are served use the server's market."""
    only = {name.strip() for name in options.only.split(",") if name.strip()}
    return options.app == APP and (not only or bool(only & PRICED))


def finish_objects(parts: Parts, progress: Progress) -> None:
    """Wait for the embedded object store; without a program for it, say so."""
    try:
        with progress.step("Object store, started meanwhile"):
            parts.finish_objects()
    except BinaryMissingError as error:
        progress.say(f"Without an object store: {error}")


def _clear_left_over(folder: DataFolder, progress: Progress) -> None:
    run = RunFolder.left_over(folder)
    if run is not None:
        # The lock on the folder shows that the earlier Luna was killed.
        ended = run.end_processes(grace_s=1.0)
        run.remove()
        if ended:
            progress.say(f"Ended {ended} processes of an earlier Luna that was killed")


def _check_settings(options: UpOptions) -> None:
    """Refuse settings with which the application cannot be built, before anything starts."""
    if options.app == APP and not any(name.startswith("LUNA_") and name not in OTHER_VARIABLES for name in os.environ):
        return
    # In a separate process, so that this one does not keep the application's imports in memory.
    # -P as for the process that serves: the current folder is on the path of neither.
    check = [sys.executable, "-P", "-m", "luna_serving.local.loopback.application", options.app]
    done = subprocess.run(check, capture_output=True, text=True, check=False)  # noqa: S603  our own module
    if done.returncode:
        raise CannotStart(done.stderr.strip().rpartition("\n")[2])


def _usable(port: int) -> int:
    if port == 0:
        return free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except PermissionError:
            raise PortInUseError(f"Port {port} is reserved for root. Choose one above 1023 with --port.") from None
        except OSError:
            raise PortInUseError(
                f"Port {port} on {LOOPBACK} is in use. Stop what listens there, or choose another with --port."
            ) from None
    return port


def _prepare(
    folder: DataFolder, parts: Parts, peppers: str, limits: DemoLimits
) -> tuple[DemoAccount, list[dict[str, str]]]:
    """Migrate, and find or make the demo accounts; those of the Tiers as variables of `env`."""
    # Imported late: the imports take most of a second, and a port in use should be reported at once.
    from redis.exceptions import RedisError
    from sqlalchemy.exc import SQLAlchemyError

    from luna_serving.local.demo import Kept, demo_account, tier_accounts
    from luna_store.accounts.api_keys import PepperMissing, Peppers
    from luna_store.platform.schema import migrate

    try:
        parsed = Peppers.parse(peppers)
        migrate(parts.database_url)
        kept = Kept(*(env_file.read_secret(folder.path, name) for name in (env_file.DEMO_KEY, env_file.DEMO_PASSWORD)))
        made = demo_account(
            parts.database_url,
            parts.redis_url,
            parsed,
            limits,
            kept=kept,
            keep_key=partial(_keep, folder, env_file.DEMO_KEY),
            keep_password=partial(_keep, folder, env_file.DEMO_PASSWORD),
        )
        account = asyncio.run(made)
        of_tiers = tier_accounts(
            parts.database_url,
            parts.redis_url,
            parsed,
            kept=lambda tier: env_file.read_secret(folder.path, env_file.DEMO_TIER_KEY.format(tier=tier)),
            keep=lambda tier, key: _keep(folder, env_file.DEMO_TIER_KEY.format(tier=tier), key),
        )
        variables = [
            {f"LUNA_{each.tier.upper()}_ACCOUNT_ID": str(each.id), f"LUNA_{each.tier.upper()}_API_KEY": each.key}
            for each in asyncio.run(of_tiers)
        ]
        return account, variables
    except PepperMissing as error:
        raise CannotStart(str(error)) from error
    except SQLAlchemyError as error:
        raise CannotStart(f"The database at DATABASE_URL cannot be used: {_reason(error)}") from error
    except (RedisError, OSError) as error:
        raise CannotStart(f"Redis at REDIS_URL cannot be used: {error}") from error


def _keep(folder: DataFolder, name: str, secret: str) -> None:
    folder.write(name, secret + "\n")


def _reason(error: Exception) -> str:
    # SQLAlchemy adds the statement and a link; the first line is the driver's message.
    return str(getattr(error, "orig", None) or error).splitlines()[0]


def _wait_until_ready(parts: Parts, port: int) -> None:
    deadline = time.monotonic() + _READY_S
    while not answers(port):
        if died := parts.serve_died():
            raise died
        if dead := parts.dead():
            raise CannotStart(dead)
        if time.monotonic() > deadline:
            raise parts.serve_silent(_READY_S)
        time.sleep(0.1)


def _watch(parts: Parts, progress: Progress) -> NoReturn:
    while True:
        if dead := parts.dead():
            raise PartDied(dead)
        parts.keep_alive(progress.say)
        time.sleep(_WATCH_EVERY_S)

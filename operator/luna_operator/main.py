"""`luna-operator`: reads the environment, checks the schema, runs until SIGTERM."""

import argparse
import asyncio
import logging
import os
import socket
import sys
from collections.abc import Sequence

import uvloop
from kubernetes.aio.config import ConfigException
from pydantic import ValidationError
from sqlalchemy.exc import OperationalError

from luna_operator.running import PepperForgottenError, run
from luna_operator.settings import Settings
from luna_operator.signals import set_on_signals
from luna_store.accounts.api_keys import PepperMissing
from luna_store.accounts.secrets import Secrets
from luna_store.platform.logs import configure
from luna_store.platform.schema import SchemaMismatch, migrate, require_current

log = logging.getLogger("luna.operator")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the operator; returns its exit status."""
    parser = argparse.ArgumentParser(prog="luna-operator", description="Reconciles Accounts and Tiers; settles usage.")
    parser.epilog = "Settings: DATABASE_URL, REDIS_URL, LUNA_PEPPERS and LUNA_OPERATOR_*, see docs/operator.md."
    parser.parse_args(argv)
    try:
        settings, secrets = Settings(), Secrets.from_environment()
        _log_as_json(settings.log_level)
        secrets.peppers  # noqa: B018  its absence stops the start
        if settings.migrate:
            migrate(secrets.database_url.get_secret_value())
        require_current(secrets.database_url.get_secret_value())
        uvloop.run(_until_signalled(settings, secrets))
    except ValidationError as e:
        return _refuse("; ".join(_told(e)))
    except (PepperMissing, PepperForgottenError, SchemaMismatch, ConfigException, ValueError) as e:
        return _refuse(str(e))
    except OperationalError as e:
        return _refuse(f"Postgres is out of reach: {str(e.orig).partition(chr(10))[0]}. Check DATABASE_URL.")
    except KeyboardInterrupt:
        return 130
    except Exception:
        # Most likely the definitions were removed: Kopf ends with them. Kubernetes restarts the pod.
        log.critical("the operator ends; are Luna's CustomResourceDefinitions (crds/) applied?", exc_info=True)
        return 1
    return 0


async def _until_signalled(settings: Settings, secrets: Secrets) -> None:
    stop = asyncio.Event()
    set_on_signals(stop)
    await run(settings, secrets, os.environ.get("POD_NAME") or socket.gethostname(), stop)


def _log_as_json(level: str) -> None:
    configure(level=level, root="")
    # Kopf logs every event that it sees.
    logging.getLogger("kopf").setLevel(max(logging.WARNING, logging.getLevelName(level)))
    # Kopf's liveness endpoint logs every probe.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


def _told(error: ValidationError) -> list[str]:
    """Each setting by the name of its variable."""
    prefix = "LUNA_OPERATOR_" if error.title == Settings.__name__ else ""
    return [f"{prefix}{'.'.join(str(part) for part in e['loc'])}".upper() + f": {e['msg']}" for e in error.errors()]


def _refuse(message: str) -> int:
    print(f"luna-operator: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())

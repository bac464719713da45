"""Postgres and Valkey inside a container of the serving image: run there, this prints the environment of a Luna.

The image's wheels bring both servers. Nothing of them, nor of what uses them, listens on the machine itself.
"""

import secrets
import sys
import threading
from pathlib import Path

from luna_serving.local.servers.postgres import PostgresServer
from luna_serving.local.servers.valkey import ValkeyServer

folder = Path("/tmp/stores")
folder.mkdir()
with PostgresServer(folder / "postgres", folder) as postgres, ValkeyServer(folder / "valkey", folder) as valkey:
    sys.stdout.write(
        f"DATABASE_URL={postgres.url}\nREDIS_URL={valkey.url}\nLUNA_PEPPERS=test:{secrets.token_hex(16)}\n.\n"
    )
    sys.stdout.flush()
    threading.Event().wait()

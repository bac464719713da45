"""The process that runs Ray and Serve: a child of `luna up`, so that `luna up` can always handle Ctrl-C.

Run as `python -m luna_serving.local.loopback.serve_process PORT RAY_DIR APP REST`, in the environment of
`ray_environment`. It imports the application, which takes seconds, then waits for the file REST with the variables that
are known once the databases run. It ends on SIGTERM, and when its parent ends.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from importlib import import_module
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from luna_serving.local.data_folder.ports import LOOPBACK
from luna_serving.local.loopback.application import of_application

if TYPE_CHECKING:
    from types import FrameType

# Series are sent through gRPC; large answers through this store, two of them at once. What is not used takes no memory.
_OBJECT_STORE_BYTES = 400 * 1024 * 1024
# `luna up` promises to end within 10 s; what hangs for longer than this is killed with this process.
STOP_S = 6.0


def serve(port: int, ray_dir: str, app: str, rest: Path) -> None:
    """Start Ray, Serve and the application of the module `app`; return when one of them has died.

    Args:
        port: of the proxy.
        ray_dir: Ray's folder.
        app: a module with CAPABILITIES.
        rest: the file with the rest of the environment, as JSON; it may come later, and is removed.

    Raises:
        RuntimeError: the application did not start.
    """
    import ray
    from ray import serve as ray_serve
    from ray.serve.config import HTTPOptions
    from ray.serve.schema import LoggingConfig

    from luna_serving.app import application, cores_reserved

    import_module(app)
    os.environ.update(_read(rest))
    capabilities, settings = of_application(app)
    built = application(capabilities)
    ray.init(
        address="local",  # not another cluster on this machine
        num_cpus=max(os.cpu_count() or 1, ceil(cores_reserved(capabilities, settings))),
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.WARNING,
        object_store_memory=_OBJECT_STORE_BYTES,
        _temp_dir=ray_dir,
        _node_ip_address=LOOPBACK,
    )
    signal.signal(signal.SIGTERM, _stop)  # Ray has put its own in place
    quiet = LoggingConfig(log_level="WARNING", enable_access_log=False)
    ray_serve.start(http_options=HTTPOptions(host=LOOPBACK, port=port), logging_config=quiet)
    ray_serve.run(built, name="luna", route_prefix="/", logging_config=quiet)
    print("the application runs", flush=True)  # noqa: T201  into the log
    node: Any = ray._private.worker._global_node  # noqa: SLF001  Ray offers no other way to ask
    while not (dead := node.dead_processes()):
        time.sleep(0.5)
    raise RuntimeError(f"Ray's process {dead[0][0]} died")


def _read(rest: Path) -> dict[str, str]:
    while not rest.exists():
        time.sleep(0.02)
    variables: dict[str, str] = json.loads(rest.read_text())
    rest.unlink()
    return variables


def shut_down() -> None:
    """Wait for calls in flight, then stop Ray."""
    import ray
    from ray import serve as ray_serve

    with suppress(Exception):
        if ray.is_initialized():
            ray_serve.shutdown()  # type: ignore[no-untyped-call]
    ray.shutdown()


def _stop(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001  a signal handler's arguments
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_hard, daemon=True).start()
    sys.exit(0)


def _end_hard() -> None:
    time.sleep(STOP_S)
    os._exit(1)


def _stop_with(parent: int) -> None:
    # On Linux the kernel's death signal does this at once; elsewhere the parent is polled.
    while os.getppid() == parent:
        time.sleep(1.0)
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Run until SIGTERM."""
    port, ray_dir, app, rest = int(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4])
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_stop_with, args=(os.getppid(),), daemon=True).start()
    try:
        serve(port, ray_dir, app, rest)
    finally:
        shut_down()


if __name__ == "__main__":
    main()

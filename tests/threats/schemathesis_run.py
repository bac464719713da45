"""Runs Schemathesis against a running Luna: every route of the OpenAPI document, with and without credentials.

`python -m tests.threats.schemathesis_run --requests 100000` starts a Luna, sends that many requests, and prints how
many were answered with which status.
"""

# ruff: noqa: T201  it prints what it counts

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx
from tests.serving.platform import Caller
from tests.threats.running import LocalLuna, Person, local_luna

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
# Longer than any call may take.
REQUEST_TIMEOUT_S = 40
PASS_S = 110


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run of Schemathesis."""

    credentials: str
    status: int
    output: str
    counts: Mapping[str, int]
    """Answers by status, and by operation and status."""

    @property
    def requests(self) -> int:
        return sum(self.by_status.values())

    @property
    def by_status(self) -> Mapping[str, int]:
        return {name: n for name, n in self.counts.items() if name.isdigit()}


@dataclass(frozen=True)
class Attacker:
    """Whose credentials are sent: an account with plenty of everything, and an admin of it."""

    caller: Caller
    person: Person

    @classmethod
    def of(cls, luna: LocalLuna) -> Self:
        """A new account with a new person."""
        caller = luna.new_caller(quota_limit=2**31 - 1)
        return cls(caller, luna.new_person(caller.id))

    def headers(self, credentials: str) -> Mapping[str, str]:
        """The headers of a kind of caller: none, key, token or person."""
        match credentials:
            case "key":
                return {"X-API-Key": self.caller.key.secret}
            case "token":
                return {"Authorization": f"Bearer {token_of(self.caller)}"}
            case "person":
                return {"Authorization": f"Bearer {self.person.sign_in()['access_token']}"}
            case _:
                return {}


def token_of(caller: Caller) -> str:
    """A token for an API key."""
    form = {"grant_type": "client_credentials", "client_id": str(caller.id), "client_secret": caller.key.secret}
    answer = httpx.post(f"{caller.base_url}/api/v1/auth/token", data=form, timeout=60)
    return str(answer.raise_for_status().json()["access_token"])


def attack(
    attacker: Attacker, credentials: str, folder: Path, *, seconds: int, seed: int, options: Sequence[str] = ()
) -> Outcome:
    """Let Schemathesis send requests for this long.

    Args:
        attacker: whose credentials they carry.
        credentials: a kind of `Attacker.headers`.
        folder: for reports.
        seconds: generation ends then; what is under way is finished.
        seed: of what is generated.
        options: further ones of Schemathesis.
    """
    counts = folder / f"counts-{credentials}-{seed}.json"
    caller, headers = attacker.caller, attacker.headers(credentials)
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(HERE / "schemathesis.toml"), "--no-color"),
        # One thread: two that parse Python at once fail in CPython 3.11 ("AST constructor recursion depth mismatch").
        *("run", f"{caller.base_url}/openapi.json", "--workers", "1", "--checks", "all"),
        # A request that fits the schema may still be refused: a cursor of no list, a matrix of the wrong shape.
        *("--exclude-checks", "positive_data_acceptance"),
        # Streams of events have no end: Schemathesis would wait for it.
        *("--exclude-path-regex", "/(events|metrics/live)$"),
        *("--max-time", str(seconds), "--seed", str(seed), "--request-timeout", str(REQUEST_TIMEOUT_S)),
        *("--no-shrink", "--continue-on-failure", "--suppress-health-check", "all", "--generation-database", "none"),
        *(("--generation-with-security-parameters", "false") if headers else ()),
        *(part for name, value in headers.items() for part in ("--header", f"{name}: {value}")),
        *options,
    ]
    environment = os.environ | {
        "LUNA_FUZZ_ACCOUNT": str(caller.id),
        "LUNA_FUZZ_COUNTS": str(counts),
        "SCHEMATHESIS_HOOKS": "tests.threats.schemathesis_hooks",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=seconds + 300
    )
    found = json.loads(counts.read_text()) if counts.exists() else {}
    return Outcome(credentials, done.returncode, done.stdout + done.stderr, found)


def main() -> int:
    """Send the requests; returns 1 if a check failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000, help="at least so many")
    parser.add_argument("--at-once", type=int, default=2, help="runs of Schemathesis beside each other")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the first run")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, local_luna(Path(name)) as luna:
        return _until(luna, Path(name), asked.requests, asked.at_once, asked.seed)


def _until(luna: LocalLuna, folder: Path, requests: int, at_once: int, seed: int) -> int:
    kinds = ("key", "person", "token", "none")
    total: Counter[str] = Counter()
    failed = False
    with ThreadPoolExecutor(at_once) as pool:
        while sum(n for s, n in total.items() if s.isdigit()) < requests and not failed:
            # A new account each time: an admin of the last one may have ended its keys.
            attacker = Attacker.of(luna)
            runs = [
                pool.submit(attack, attacker, kinds[(seed + i) % len(kinds)], folder, seconds=PASS_S, seed=seed + i)
                for i in range(at_once)
            ]
            seed += at_once
            for run in runs:
                outcome = run.result()
                total.update(outcome.counts)
                print(f"{outcome.credentials}: {outcome.requests} requests", flush=True)
                if outcome.status:
                    print(outcome.output)
                    failed = True
    print(f"{sum(n for s, n in total.items() if s.isdigit())} requests")
    for status in sorted(s for s in total if s.isdigit()):
        print(f"{status}  {total[status]}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

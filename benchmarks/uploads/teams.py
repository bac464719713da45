"""What a team does, as a client: only HTTP, and the URLs that it is given."""

import asyncio
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
from benchmarks.http.servers import luna_command

from .making import Making, UploadSet

PUTS_AT_ONCE = 4
VERDICT_S = 600.0


@dataclass(frozen=True)
class Team:
    """A team: whose account, who signs in, what is uploaded."""

    origin: str
    account_id: int
    email: str
    password: str
    making: Making


@dataclass
class Outcome:
    """What happened to one team."""

    verdicts: list[tuple[str, str]] = field(default_factory=list)
    """What each set should be, and what it is."""
    statuses: list[int] = field(default_factory=list)
    """Of all answers of Luna."""
    seconds: list[float] = field(default_factory=list)
    """From the start of each set to its verdict."""
    reports: int = 0
    sent_bytes: int = 0


def make_teams(data_dir: Path, origin: str, files: Sequence[Making]) -> list[Team]:
    """Make an account and a user for each team, on the command line."""

    def make(i: int) -> Team:
        email, password = f"team-{i}@uploads.test", secrets.token_urlsafe(16)
        made = luna_command(data_dir, "account", "create", f"uploads/team-{i}", "--quota", "100000", "--json")
        account_id = int(json.loads(made)["id"])
        arguments = ("--account", str(account_id), "--role", "member", "--password-stdin")
        luna_command(data_dir, "user", "create", email, *arguments, typed=password)
        return Team(origin, account_id, email, password, files[i])

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(make, range(len(files))))


async def run_all(teams: Sequence[Team]) -> list[Outcome]:
    """Run all teams at once."""
    return await asyncio.gather(*(_run(team) for team in teams))


async def _run(team: Team) -> Outcome:
    outcome = Outcome()
    async with (
        httpx.AsyncClient(base_url=f"{team.origin}/api/v1", timeout=120, trust_env=False) as luna,
        httpx.AsyncClient(timeout=120, trust_env=False) as store,
    ):
        login = {"email": team.email, "password": team.password, "account_id": team.account_id}
        signed_in = await _asked(outcome, luna, "POST", "/auth/login", json=login)
        luna.headers["Authorization"] = f"Bearer {signed_in.json()['access_token']}"
        for each in team.making.sets:
            await _upload(team, outcome, luna, store, each)
    return outcome


async def _upload(
    team: Team, outcome: Outcome, luna: httpx.AsyncClient, store: httpx.AsyncClient, each: UploadSet
) -> None:
    begun = time.perf_counter()
    files = [
        {"path": path, "bytes": len(body), "sha256": sha256(body).hexdigest(), "media_type": media_type}
        for path, (body, media_type) in each.files.items()
    ]
    key = {"Idempotency-Key": secrets.token_hex(8)}
    started = await _asked(outcome, luna, "POST", "/upload/start", json={**each.body, "files": files}, headers=key)
    started.raise_for_status()
    document = started.json()
    dataset_id = document["dataset_id"]
    if team.making.cut_off:
        await _cut_off(document["files"][0], each)
        renewed = await _asked(outcome, luna, "GET", f"/upload/{dataset_id}", params={"renew": "true"})
        document = renewed.json()
    room = asyncio.Semaphore(PUTS_AT_ONCE)

    async def put(file: Mapping[str, Any]) -> None:
        body = each.files[file["path"]][0]
        async with room:
            upload = file["upload"]
            stored = await store.request(upload["method"], upload["url"], headers=upload["headers"], content=body)
            # 412: a PUT that was cut off had arrived all the same.
            if stored.status_code not in {200, 204, 412}:
                raise RuntimeError(f"PUT {file['path']}: {stored.status_code} {stored.text[:300]}")
            outcome.sent_bytes += len(body)

    await asyncio.gather(*(put(file) for file in document["files"] if file["state"] == "missing"))
    for _ in range(2):
        completed = await _asked(outcome, luna, "POST", "/upload/complete", json={"dataset_id": dataset_id})
        completed.raise_for_status()
    state = await _verdict(outcome, luna, dataset_id)
    outcome.verdicts.append((each.verdict, state))
    outcome.seconds.append(time.perf_counter() - begun)
    report = await _asked(outcome, luna, "GET", f"/datasets/{dataset_id}/report", follow_redirects=True)
    outcome.reports += report.is_success


async def _verdict(outcome: Outcome, luna: httpx.AsyncClient, dataset_id: str) -> str:
    ends_at = time.monotonic() + VERDICT_S
    state = "validating"
    while state == "validating" and time.monotonic() < ends_at:
        prefer = {"Prefer": "wait=20"}
        answer = await _asked(outcome, luna, "GET", f"/validation/{dataset_id}/status", headers=prefer)
        state = answer.json()["state"]
    return state


async def _cut_off(file: Mapping[str, Any], each: UploadSet) -> None:
    """Send half of a file, and hang up."""
    upload, body = file["upload"], each.files[file["path"]][0]
    url = httpx.URL(upload["url"])
    _, writer = await asyncio.open_connection(url.host, url.port)
    headers = {"Host": url.netloc.decode(), "Content-Length": str(len(body)), **upload["headers"]}
    head = f"PUT {url.raw_path.decode()} HTTP/1.1\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in headers.items()
    )
    writer.write(head.encode() + b"\r\n" + body[: len(body) // 2])
    await writer.drain()
    writer.close()


async def _asked(
    outcome: Outcome,
    luna: httpx.AsyncClient,
    method: str,
    path: str,
    **options: Any,  # noqa: ANN401  httpx's
) -> httpx.Response:
    answer = await luna.request(method, path, **options)
    outcome.statuses.append(answer.status_code)
    return answer

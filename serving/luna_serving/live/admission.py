"""Ends connections whose credential has ended: revoked keys, expired tokens, suspended accounts, grants taken.

Connections with the same credential are checked together, so that ten thousand sockets of a few keys cost a few
questions to the stores.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from luna_serving.access.authorization import Authorization
from luna_serving.access.credentials import Credential
from luna_serving.access.denied import Denied
from luna_serving.live.subscribers import POLICY_VIOLATION, Ending, Subscriber
from luna_serving.samples.client import READING
from luna_serving.wire.problems import Problem
from luna_store.people.roles import Role

CHECK_S: Final = 15.0
# Between two looks at the clock of other work.
TOGETHER: Final = 200
ROUTE: Final = "ws/metrics"


@dataclass(frozen=True, slots=True, eq=False)
class Admitted:
    """One open connection."""

    subscriber: Subscriber
    credential: Callable[[], Credential]
    """Reads it again. Raises Problem 401 for an expired token."""


class Admission:
    """Checks the open connections every 15 s."""

    def __init__(self, authorization: Authorization, *, check_s: float = CHECK_S) -> None:
        self._authorization = authorization
        self._check_s = check_s
        self._open: set[Admitted] = set()
        self._task: asyncio.Task[None] | None = None

    def add(self, admitted: Admitted) -> None:
        """Check a connection from now on."""
        self._open.add(admitted)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="credentials of live connections")

    def remove(self, admitted: Admitted) -> None:
        """A connection is closed."""
        self._open.discard(admitted)

    async def close(self) -> None:
        """Stop; called when the replica stops."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._check_s)
            await self._check()

    async def _check(self) -> None:
        known: dict[tuple[int, str, tuple[str, ...]], Problem | None] = {}
        for number, each in enumerate(list(self._open)):
            if number % TOGETHER == 0:
                await asyncio.sleep(0)
            try:
                credential = each.credential()
            except Problem as problem:
                refuse(each.subscriber, problem)
                continue
            key = (each.subscriber.account_id, credential.key_prefix, credential.key_digests)
            if key not in known:
                known[key] = await self._refusal(each.subscriber.account_id, credential)
            refusal = known[key]
            if refusal is not None:
                refuse(each.subscriber, refusal)

    async def _refusal(self, account_id: int, credential: Credential) -> Problem | None:
        """Why the caller may no longer see the account; None also while no store can tell."""
        try:
            await self._authorization.standing(credential, account_id, ROUTE, READING)
            self._authorization.require(credential, Role.VIEWER)
        except Denied as denied:
            return denied.problem
        except Problem as problem:
            return problem if problem.status < 500 else None
        return None


def refuse(subscriber: Subscriber, problem: Problem) -> None:
    """End a connection with a problem."""
    subscriber.end(Ending(POLICY_VIOLATION, problem.detail, "credential"))

"""Makes the two doors of calculations: their routes, and what prepares their jobs."""

import asyncio
import time
from typing import Any, Final

import orjson

from luna_serving.dispatch.work import Unresolved
from luna_serving.edge.bodies import media_type_of
from luna_serving.edge.idempotency import once
from luna_serving.edge.operation import Answer, Asked, Exchange
from luna_serving.jobs.doors.calculation import AT_ONCE_S, Calculation, Door
from luna_serving.jobs.doors.call import QUEUED, DoorCall, DoorParts, caller_of
from luna_serving.jobs.kinds import JobPlan, Prepare
from luna_serving.jobs.routes.wire import dumped
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError
from luna_serving.wire.sent import Sent
from luna_serving.wire.tabular import JSON
from luna_store.platform.idempotency import Claim

# Larger bodies are parsed in a thread.
ASIDE_BYTES: Final = 64 * 1024
# An answer is kept for its Idempotency-Key up to this size; a call with a larger one becomes a job, which keeps it.
KEPT_BYTES: Final = 1024 * 1024
VALIDATE_ONLY: Final = "validate_only"


class Doors:
    """Makes the two doors of calculations: their routes, and what prepares their jobs."""

    def __init__(self, parts: DoorParts) -> None:
        self._parts = parts

    def route(self, door: Door) -> Exchange:
        """The route of a door."""

        async def serve(asked: Asked) -> Answer:
            return await self._served(door, asked)

        return Exchange(
            "POST",
            door.name,
            serve,
            door.parameters | {VALIDATE_ONLY},
            door.openapi,
            capability=door.capability,
        )

    def prepare(self, door: Door) -> Prepare:
        """What checks the parameters of `POST /jobs/`."""

        async def prepare(account_id: int, parameters: bytes) -> JobPlan:
            parsed = await asyncio.to_thread(door.parse, Sent(parameters))
            return await asyncio.to_thread((await _resolved(parsed, account_id)).as_job)

        return prepare

    async def _served(self, door: Door, asked: Asked) -> Answer:
        until = time.monotonic() + asked.seconds
        media_type = media_type_of(asked.headers, door.media_types)
        validate_only = _flag(asked)
        sent = Sent(
            await asked.body(door.max_body_bytes),
            media_type,
            asked.headers.get(b"accept", b"*/*").decode("latin-1"),
            {name: values for name, values in asked.parameters.query.items() if name != VALIDATE_ONLY},
        )
        if validate_only:
            return await self._checked(door, asked, await _parsed(door, asked, sent))
        call = DoorCall(self._parts, door, asked, until)

        async def create(claim: Claim | None) -> Answer:
            work = await _parsed(door, asked, sent)
            queued = call.prefers_async or work.seconds >= AT_ONCE_S
            if queued or (claim is not None and work.answer_bytes > KEPT_BYTES):
                return await call.queue(work, claim)
            return await call.compute(work)

        try:
            answer = await once(
                self._parts.keys, asked.account_id, f"POST {door.name}", asked.headers, _identity(sent), create
            )
        except BaseException:
            # Computed and charged, but not kept for its Idempotency-Key: the caller gets an error, and its units.
            if call.charged is not None:
                self._parts.charges.void_later(call.charged)
            raise
        return await call.followed(answer) if answer.status == QUEUED else answer

    async def _checked(self, door: Door, asked: Asked, work: Calculation) -> Answer:
        plan = await asyncio.to_thread(work.as_job)
        await self._parts.service.check(caller_of(asked), door.name, plan, pointer="")
        body = dumped({"units": plan.units, "plan": dict(plan.plan)})
        return Answer(body, 200, [(b"content-type", JSON.encode())])


async def _parsed(door: Door, asked: Asked, sent: Sent) -> Calculation:
    if len(sent.body) > ASIDE_BYTES:
        parsed = await asyncio.get_running_loop().run_in_executor(asked.aside, door.parse, sent)
    else:
        parsed = door.parse(sent)
    return await _resolved(parsed, asked.account_id)


async def _resolved(parsed: Calculation | Unresolved, account_id: int) -> Calculation:
    if not isinstance(parsed, Unresolved):
        return parsed
    # `Parse` promises works that are Calculations.
    work: Any = parsed.at_hand(account_id) or await parsed.look_up(account_id)
    found: Calculation = work
    return found


def _flag(asked: Asked) -> bool:
    value = asked.parameters.one(VALIDATE_ONLY, "false").lower()
    if value not in {"true", "false"}:
        raise problems.invalid(FieldError(f"/query/{VALIDATE_ONLY}", "Must be true or false."))
    return value == "true"


def _identity(sent: Sent) -> bytes:
    """What an Idempotency-Key stands for: the body, and what else changes its meaning."""
    if sent.media_type == JSON and not sent.query:
        return sent.body
    return sent.body + orjson.dumps([sent.media_type, sent.accept, sorted(sent.query.items())])

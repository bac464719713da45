"""One connection to a stream: reads a message, decides by the rules, charges, computes, commits, answers.

Nothing is answered before it is committed, so a client that was answered never has to send again; a client that was
not sends again, and is answered from what is kept or for the first time. A message that was charged and not applied
is given back: here, or by the next holder of the stream if this process dies before it can (`Claim.was_held`).
"""

import logging
import time
import uuid
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from luna_serving.access.admission import Admission
from luna_serving.access.authorization import Callers
from luna_serving.capabilities.kalman.models.lookup import NamedModels
from luna_serving.capabilities.kalman.store.streams import (
    Claim,
    KalmanStreams,
    StreamNotFound,
    StreamSuperseded,
    TooManyStreams,
)
from luna_serving.capabilities.kalman.streams import protocol
from luna_serving.capabilities.kalman.streams.job import Appended, AppendJob
from luna_serving.capabilities.kalman.streams.messages import Open, Points, Resume, read_message, read_values
from luna_serving.capabilities.kalman.streams.protocol import Plan, StreamRules
from luna_serving.capabilities.kalman.wire.series import amounts
from luna_serving.dispatch.gate import Call
from luna_serving.dispatch.lanes import Serves
from luna_serving.edge.sockets import POLICY_VIOLATION, Socket
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError, Problem
from luna_store.accounts.accounts import AccountNotFound
from luna_store.quota.debits import Debit, Grant, StoreUnavailable

log = logging.getLogger("luna.streams")

ROUTE = "kalman/stream"
# RFC 6455, section 7.4.1.
MESSAGE_TOO_BIG = 1009
# A message of points is one series.
UNITS = 1


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """See `luna_serving.settings.Settings` for units and reasons."""

    idle_s: float
    max_message_bytes: int
    timeout_s: float
    """To open, and to answer one message."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What the sessions of one ingress replica share."""

    store: KalmanStreams
    gate: Serves
    admission: Admission
    callers: Callers
    models: NamedModels
    rules: StreamRules
    limits: SessionLimits

    async def serve(self, socket: Socket) -> None:
        """Speak with one client until it or we have had enough."""
        await Session(self, socket).run()


@dataclass(slots=True)
class Held:
    """A stream in this session's hands."""

    claim: Claim
    plan: Plan
    sequence: int
    state: str | None
    spent: bool = False
    """Whether this epoch's debit id was used for points that were not applied: the next needs another."""
    open_debit: tuple[Debit, int] | None = None
    """A debit that may have been taken for points, up to this number, that may have been applied."""

    @classmethod
    def of(cls, claim: Claim) -> "Held":
        """The stream as it was claimed."""
        return cls(claim, Plan.from_json(claim.document), claim.sequence, claim.state)


class Session:
    """The state of one connection."""

    def __init__(self, desk: Desk, socket: Socket) -> None:
        self._desk = desk
        self._socket = socket
        self._held: Held | None = None

    async def run(self) -> None:
        """Answer messages until the connection is over; let the stream go then.

        Raises:
            Closed: it is over.
        """
        try:
            while True:
                await self._answer(await self._next())
        finally:
            await self._release()

    async def _next(self) -> str | bytes:
        limits = self._desk.limits
        try:
            message = await self._socket.receive(limits.idle_s if self._held else limits.timeout_s)
        except TimeoutError:
            await self._socket.close(protocol.IDLE, "Idle. Resume the stream when there are points.")
            raise  # never reached: close raises Closed
        if len(message) > limits.max_message_bytes:
            await self._socket.send(protocol.error(problems.too_large(limits.max_message_bytes)))
            await self._socket.close(MESSAGE_TOO_BIG, f"A message may have {limits.max_message_bytes} bytes.")
        return message

    async def _answer(self, text: str | bytes) -> None:
        sequence: int | None = None
        try:
            message = read_message(text)
            if isinstance(message, Points):
                sequence = message.sequence
            answers = await self._handle(message)
        except Problem as problem:
            await self._socket.send(protocol.error(problem, sequence))
            if problem.status in {401, 403}:
                await self._socket.close(POLICY_VIOLATION, problem.detail)
        except StreamSuperseded:
            self._held = None
            await self._socket.close(protocol.SUPERSEDED, "Another connection has resumed this stream.")
        except StreamNotFound:
            self._held = None
            await self._socket.close(protocol.DELETED, "The stream was deleted.")
        except StoreUnavailable:
            await self._socket.send(protocol.error(problems.dependencies_gone("The stream store"), sequence))
        else:
            for answer in answers:
                await self._socket.send(answer)

    async def _handle(self, message: Open | Resume | Points) -> list[str]:
        if isinstance(message, Points):
            if self._held is None:
                raise problems.invalid(FieldError("/type", 'Must be "open" or "resume" first.'))
            return [await self._points(self._held, message)]
        if self._held is not None:
            wrong = "This connection holds a stream. Send points, or connect again for another."
            raise problems.invalid(FieldError("/type", wrong))
        return await (self._open(message) if isinstance(message, Open) else self._resume(message))

    async def _open(self, message: Open) -> list[str]:
        account_id = self._socket.account_id
        # As it stands now: a stream is not opened by whoever lost the right to it since the upgrade.
        standing = await self._desk.callers.standing(self._socket.credential(), account_id, ROUTE)
        model = await self._desk.models.resolved(account_id, message.model)
        if model.endless is not None:
            wrong = "Varies in time without an end, which a stream does not take: send regressors instead."
            raise problems.invalid(FieldError(f"/model{model.endless}", wrong))
        plan = Plan.of(message, model, self._desk.rules)
        try:
            claim = await self._desk.store.open(account_id, model.kind, plan.to_json())
        except TooManyStreams as e:
            cure = f"Delete one: GET /api/v1/{account_id}/kalman/streams lists them."
            raise problems.limit_reached(f"{e} {cure}") from e
        except AccountNotFound as e:
            raise problems.not_found(f"There is no account {account_id}.") from e
        self._held = Held.of(claim)
        rules = self._desk.rules.within(standing)
        return [protocol.opened(claim.id, 0, plan, rules, resumed=False)]

    async def _resume(self, message: Resume) -> list[str]:
        account_id = self._socket.account_id
        standing = await self._desk.callers.standing(self._socket.credential(), account_id, ROUTE)
        try:
            claim = await self._desk.store.claim(account_id, message.stream, owed=self._left_open)
        except StreamNotFound as e:
            raise problems.not_found(f"{e} It may have been deleted, or have expired unused.") from e
        held = self._held = Held.of(claim)
        try:
            if message.after > claim.sequence:
                raise problems.invalid(FieldError("/after", f"Must be at most {claim.sequence}: no more was taken."))
            kept = await self._desk.store.answers(claim, message.after)
            repeats = protocol.repeated(kept, message.after, claim.sequence)
        except Problem:
            await self._release()
            raise
        rules = self._desk.rules.within(standing)
        head = protocol.opened(claim.id, claim.sequence, held.plan, rules, resumed=True)
        return [head, *(protocol.filtered(first, points) for first, points in repeats)]

    async def _points(self, held: Held, message: Points) -> str:
        if not message.values:
            raise problems.invalid(FieldError("/values", "Must be a list of at least one point."))
        if held.spent:
            await self._renew(held)
        desk, first, last = self._desk, message.sequence, message.sequence + len(message.values) - 1
        if protocol.place(first, len(message.values), held.sequence) == "again":
            kept = await desk.store.answers(held.claim, first - 1)
            return protocol.filtered(*protocol.joined(protocol.repeated(kept, first - 1, last)))
        model, keep = held.plan.model.build(), held.plan.replayed(desk.rules)
        values = read_values(message.values, model.observed, min(desk.rules.max_points, keep))
        if model.length is not None and last > model.length:
            wrong = f"Would go on to point {last}; the model's time-varying matrices cover {model.length}."
            raise problems.invalid(FieldError("/values", wrong))
        unknown = next((period for period in model.unknown_periods if first <= period + 1 <= last), None)
        if unknown is not None:
            wrong = f"Reaches point {unknown + 1}, whose regressors are null: open a stream with the numbers."
            raise problems.invalid(FieldError("/values", wrong))
        debit = self._debit(held.plan, held.claim.id, held.claim.epoch, first, len(values))
        held.spent, held.open_debit = True, (debit, last)
        appended = await self._charged(held, values, debit)
        try:
            await desk.store.append(held.claim, first, last, state=appended.state, points=appended.points, keep=keep)
        except (StreamSuperseded, StreamNotFound):
            # Whoever claimed the stream has done so as well; after a deletion nobody else does.
            desk.admission.void_later(debit)
            raise
        held.spent, held.open_debit = False, None
        held.sequence, held.state = last, appended.state
        return protocol.filtered(first, appended.points)

    async def _renew(self, held: Held) -> None:
        """Claim the stream again: under the new epoch the debits have new ids, and what is uncertain is known."""

        def owed(claim: Claim) -> Debit | None:
            debit, last = held.open_debit or (None, 0)
            return debit if claim.sequence < last else None

        claim = await self._desk.store.claim(self._socket.account_id, held.claim.id, epoch=held.claim.epoch, owed=owed)
        held.claim, held.sequence, held.state = claim, claim.sequence, claim.state
        held.spent, held.open_debit = False, None

    async def _charged(self, held: Held, values: NDArray[np.float64], debit: Debit) -> Appended:
        """Debit and compute.

        Raises:
            Problem: nothing is charged.
        """
        plan, seconds = held.plan, self._desk.limits.timeout_s
        until = time.monotonic() + seconds
        job = AppendJob(plan.model, held.state, values, plan.outputs, plan.threshold, plan.lag)
        for _ in range(2):
            # A client that hangs up meanwhile finds the answer when it resumes: these points are taken.
            call = Call(debit, job, len(values) * (plan.lag + 1), lambda: False)
            result, decision = await self._desk.gate.serve(call, until - time.monotonic(), seconds)
            if decision.admitted:
                appended: Appended = result
                return appended
            denial = await self._desk.callers.denial(
                self._socket.credential(), debit, decision, partial(protocol.too_many_points, len(values))
            )
            if denial is not None:
                # Nothing was taken. What the gate raises is another matter: it gives back, if it lives to do so.
                held.open_debit = None
                raise denial
        raise problems.dependencies_gone("The account")

    def _left_open(self, claim: Claim) -> Debit | None:
        """The debit of an earlier holder who may have died before the commit, which can no longer happen now."""
        if not claim.was_held:
            return None
        return self._debit(Plan.from_json(claim.document), claim.id, claim.epoch - 1, claim.sequence + 1)

    def _debit(self, plan: Plan, stream: uuid.UUID, epoch: int, first: int, points: int = 0) -> Debit:
        credential = self._socket.credential()
        return Debit(
            account_id=self._socket.account_id,
            key_prefix=credential.key_prefix,
            key_digests=credential.key_digests,
            units=UNITS,
            debit_id=protocol.debit_id(stream, epoch, first),
            route=ROUTE,
            grant=Grant("kalman", plan.model.kind),
            amounts=amounts(UNITS, points),
        )

    async def _release(self) -> None:
        """Let the stream go; but where the last debit was in vain, it stays held, so that the next holder voids it."""
        held, self._held = self._held, None
        if held is None or held.spent:
            return
        try:
            await self._desk.store.release(held.claim)
        except StoreUnavailable as e:
            log.warning("stream %s stays held: %s", held.claim.id, e)

"""One connection to a stream: reads messages, checks them by the protocol, charges, computes, commits, answers.

An answer is sent after its commit, so a client never has to resend an answered message. A client without an answer
resends the message, and gets the kept answer or a new one. A message that was charged and not applied is refunded
through its hold: by this session, by the next holder of the stream if this process dies, or when the hold is overdue.
"""

import logging
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from luna_serving.access.authorization import Authorization
from luna_serving.access.charges import Charges
from luna_serving.access.denials import Charge
from luna_serving.access.denied import Denied
from luna_serving.capabilities.kalman.models.lookup import NamedModels
from luna_serving.capabilities.kalman.store.stream_records import (
    ROUTE,
    UNITS,
    Claim,
    StreamNotFound,
    StreamSuperseded,
    TooManyStreams,
    debit_id,
)
from luna_serving.capabilities.kalman.store.streams import KalmanStreams
from luna_serving.capabilities.kalman.streams import protocol
from luna_serving.capabilities.kalman.streams.job import Appended, AppendJob
from luna_serving.capabilities.kalman.streams.messages import Open, Points, Resume, read_message, read_values
from luna_serving.capabilities.kalman.streams.protocol import StreamRules, StreamSetup
from luna_serving.capabilities.kalman.wire.series import amounts
from luna_serving.dispatch.call import Call
from luna_serving.dispatch.lanes import Gateway
from luna_serving.edge.sockets import POLICY_VIOLATION, Socket
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError, Problem
from luna_store.accounts.accounts import AccountNotFound
from luna_store.quota.debits import Debit, Decision, Grant, StoreUnavailable

log = logging.getLogger("luna.streams")

# RFC 6455, section 7.4.1.
MESSAGE_TOO_BIG = 1009
# Longer than a message may take, so that its hold is never overdue before its points are committed.
HOLD_SPARE_S = 60.0


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """See `luna_serving.settings.Settings` for units and reasons."""

    idle_s: float
    max_message_bytes: int
    timeout_s: float
    """Seconds to open, and to answer one message."""


@dataclass(frozen=True, slots=True)
class StreamService:
    """The shared parts of the sessions of one ingress replica."""

    store: KalmanStreams
    gate: Gateway
    charges: Charges
    authorization: Authorization
    models: NamedModels
    rules: StreamRules
    limits: SessionLimits

    @property
    def good_for_s(self) -> float:
        """Seconds after its last write in which a hold may be charged without becoming overdue before the answer."""
        return self.store.hold_s - self.limits.timeout_s - HOLD_SPARE_S

    async def serve(self, socket: Socket) -> None:
        """Serve one connection until either side closes it."""
        await Session(self, socket).run()


@dataclass(slots=True)
class Held:
    """A stream that this session holds."""

    claim: Claim
    setup: StreamSetup
    sequence: int
    state: str | None
    since: float
    """A time, by `time.monotonic`, before the last write of its hold."""
    spent: bool = False
    """Whether the hold's debit id was used for points that were not applied: the next message needs a new id."""
    charged: bool = False
    """Whether that debit may have been taken."""

    @classmethod
    def of(cls, claim: Claim, since: float) -> "Held":
        """The stream as it was claimed."""
        return cls(claim, StreamSetup.from_json(claim.document), claim.sequence, claim.state, since)


class Session:
    """The state of one connection."""

    def __init__(self, service: StreamService, socket: Socket) -> None:
        self._service = service
        self._socket = socket
        self._held: Held | None = None

    async def run(self) -> None:
        """Answer messages until the connection is closed; then release the stream.

        Raises:
            Closed: the connection is closed.
        """
        try:
            while True:
                await self._answer(await self._next())
        finally:
            await self._release()

    async def _next(self) -> str | bytes:
        limits = self._service.limits
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
        except Denied as denied:
            await self._refuse(denied.problem, sequence)
        except Problem as problem:
            await self._refuse(problem, sequence)
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

    async def _refuse(self, problem: Problem, sequence: int | None) -> None:
        await self._socket.send(protocol.error(problem, sequence))
        if problem.status in {401, 403}:
            await self._socket.close(POLICY_VIOLATION, problem.detail)

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
        # Checked again: the grant may have been removed since the upgrade.
        standing = await self._service.authorization.standing(self._socket.credential(), account_id, ROUTE)
        model = await self._service.models.resolved(account_id, message.model)
        if model.endless is not None:
            wrong = "Varies in time without an end, which a stream does not take: send regressors instead."
            raise problems.invalid(FieldError(f"/model{model.endless}", wrong))
        setup = StreamSetup.of(message, model, self._service.rules)
        since = time.monotonic()
        try:
            claim = await self._service.store.open(account_id, model.kind, setup.to_json())
        except TooManyStreams as e:
            cure = f"Delete one: GET /api/v1/{account_id}/kalman/streams lists them."
            raise problems.limit_reached(f"{e} {cure}") from e
        except AccountNotFound as e:
            raise problems.not_found(f"There is no account {account_id}.") from e
        self._held = Held.of(claim, since)
        rules = self._service.rules.within(standing)
        return [protocol.opened(claim.id, 0, setup, rules, resumed=False)]

    async def _resume(self, message: Resume) -> list[str]:
        account_id = self._socket.account_id
        standing = await self._service.authorization.standing(self._socket.credential(), account_id, ROUTE)
        since = time.monotonic()
        try:
            claim = await self._service.store.claim(account_id, message.stream)
        except StreamNotFound as e:
            raise problems.not_found(f"{e} It may have been deleted, or have expired unused.") from e
        held = self._held = Held.of(claim, since)
        try:
            if message.after > claim.sequence:
                raise problems.invalid(FieldError("/after", f"Must be at most {claim.sequence}: no more was taken."))
            kept = await self._service.store.answers(claim, message.after)
            repeats = protocol.repeated(kept, message.after, claim.sequence)
        except Problem:
            await self._release()
            raise
        rules = self._service.rules.within(standing)
        head = protocol.opened(claim.id, claim.sequence, held.setup, rules, resumed=True)
        return [head, *(protocol.filtered(first, points) for first, points in repeats)]

    async def _points(self, held: Held, message: Points) -> str:
        if not message.values:
            raise problems.invalid(FieldError("/values", "Must be a list of at least one point."))
        if held.spent or time.monotonic() - held.since > self._service.good_for_s:
            await self._renew(held)
        service, first, last = self._service, message.sequence, message.sequence + len(message.values) - 1
        if protocol.place(first, len(message.values), held.sequence) == "again":
            kept = await service.store.answers(held.claim, first - 1)
            return protocol.filtered(*protocol.joined(protocol.repeated(kept, first - 1, last)))
        model, keep = held.setup.model.build(), held.setup.replayed(service.rules)
        values = read_values(message.values, model.observed, min(service.rules.max_points, keep))
        if model.length is not None and last > model.length:
            wrong = f"Would go on to point {last}; the model's time-varying matrices cover {model.length}."
            raise problems.invalid(FieldError("/values", wrong))
        unknown = next((period for period in model.unknown_periods if first <= period + 1 <= last), None)
        if unknown is not None:
            wrong = f"Reaches point {unknown + 1}, whose regressors are null: open a stream with the numbers."
            raise problems.invalid(FieldError("/values", wrong))
        appended = await self._charged(held, values, self._charge(held, first, len(values)))
        since = time.monotonic()
        await service.store.append(held.claim, first, last, state=appended.state, points=appended.points, keep=keep)
        held.since, held.spent, held.charged = since, False, False
        held.sequence, held.state = last, appended.state
        return protocol.filtered(first, appended.points)

    async def _renew(self, held: Held) -> None:
        """Claim the stream again: the new epoch gives debits new ids, and the state of uncertain ones is read again."""
        since = time.monotonic()
        claim = await self._service.store.claim(
            self._socket.account_id, held.claim.id, epoch=held.claim.epoch, charged=held.charged
        )
        held.claim, held.sequence, held.state = claim, claim.sequence, claim.state
        held.since, held.spent, held.charged = since, False, False

    async def _charged(self, held: Held, values: NDArray[np.float64], charge: Charge) -> Appended:
        """Debit and compute.

        Raises:
            Denied: nothing was taken.
            Problem: nothing is charged.
        """
        setup, seconds = held.setup, self._service.limits.timeout_s
        until = time.monotonic() + seconds
        job = AppendJob(setup.model, held.state, values, setup.outputs, setup.threshold, setup.lag)

        def attempt() -> Awaitable[tuple[Appended, Decision]]:
            # The points are taken even if the client hangs up: it finds the answer when it resumes.
            call = Call(charge.debit, job, len(values) * (setup.lag + 1), lambda: False)
            return self._service.gate.serve(call, until - time.monotonic(), seconds)

        held.spent = held.charged = True
        try:
            return (await self._service.charges.charge(charge, attempt))[0]
        except Denied:
            # Nothing was taken. After an error of the gate, the gate refunds.
            held.charged = False
            raise

    def _charge(self, held: Held, first: int, points: int) -> Charge:
        credential = self._socket.credential()
        debit = Debit(
            account_id=self._socket.account_id,
            key_prefix=credential.key_prefix,
            key_digests=credential.key_digests,
            units=UNITS,
            debit_id=debit_id(held.claim.id, held.claim.epoch, first),
            route=ROUTE,
            grant=Grant("kalman", held.setup.model.kind),
            amounts=amounts(UNITS, points),
        )
        return Charge(credential, debit, partial(protocol.too_many_points, points))

    async def _release(self) -> None:
        """Release the stream. After a charge whose points were not taken it stays held, until its hold is voided."""
        held, self._held = self._held, None
        if held is None or held.spent:
            return
        try:
            await self._service.store.release(held.claim)
        except StoreUnavailable as e:
            log.warning("stream %s stays held: %s", held.claim.id, e)

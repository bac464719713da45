"""Looks up named models for calls: in memory if that is safe, else in Postgres, for many calls at once.

The document of (account, name, version) never changes, so a parsed model stays in the cache while there is room. Its
existence is confirmed once per second; the latest version is read for every call. While Postgres is down, the models in
memory stay available.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import orjson

from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec
from luna_serving.capabilities.kalman.models.cache import Key, ModelCache, Name
from luna_serving.capabilities.kalman.store.models import Models
from luna_serving.capabilities.kalman.wire.calls import NamedCall
from luna_serving.capabilities.kalman.wire.model import built, read_model
from luna_serving.capabilities.kalman.wire.named_model import NamedModel
from luna_serving.dispatch.coalescer import Coalescer, QueueFull
from luna_serving.dispatch.deadline import answer_within
from luna_serving.dispatch.work import Unresolved, Work
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError, Problem
from luna_store.platform.postgres import POSTGRES_GONE

log = logging.getLogger("luna.models")

# How long a deleted version may still be served, in seconds: one query per second and model, however many calls.
CONFIRMED_S = 1.0
# Seconds after which a store that did not answer is tried again; until then no call waits for it.
RETRY_S = 1.0
# Queries in one round trip, and queries that may wait for it.
MAX_QUESTIONS = 256
MAX_WAITING = 2_000


@dataclass(slots=True, eq=False)
class _Question:
    account_id: int
    reference: NamedModel
    answer: asyncio.Future[ModelSpec]

    @property
    def name(self) -> Name:
        return self.account_id, self.reference.name

    def key(self, latest: int | None) -> Key | None:
        version = latest if self.reference.version is None else self.reference.version
        return None if version is None else (*self.name, version)

    def settle(self, answer: ModelSpec | Problem) -> None:
        if self.answer.done():
            return
        if isinstance(answer, Problem):
            # A copy: each call adds its own account's standing.
            self.answer.set_exception(replace(answer))
        else:
            self.answer.set_result(answer)


class NamedModels:
    """The stored models, for the calls of one ingress replica."""

    def __init__(self, store: Models, *, cache_bytes: int, timeout_s: float) -> None:
        """Start with an empty cache.

        Args:
            store: where models are kept.
            cache_bytes: most bytes of JSON of the cached models.
            timeout_s: seconds that the store has to answer.
        """
        self._store = store
        self._timeout_s = timeout_s
        self._cache = ModelCache(cache_bytes)
        self._gone_until = 0.0
        self._questions: Coalescer[_Question] = Coalescer(
            self._answer,
            weight=lambda _: 1,
            max_items=MAX_QUESTIONS,
            max_weight=MAX_QUESTIONS,
            max_queued=MAX_WAITING,
            in_flight=2,
        )

    def resolving(self, parse: Callable[[bytes], Work | NamedCall]) -> Callable[[bytes], Work | Unresolved]:
        """A parser of calls that may name their model, as the edge takes it."""

        def parsed(body: bytes) -> Work | Unresolved:
            call = parse(body)
            if not isinstance(call, NamedCall):
                return call
            return Unresolved(partial(self._work_at_hand, call), partial(self._work, call))

        return parsed

    def _work_at_hand(self, call: NamedCall, account_id: int) -> Work | None:
        spec = self.at_hand(account_id, call.reference)
        return None if spec is None else call.under(spec)

    async def _work(self, call: NamedCall, account_id: int) -> Work:
        return call.under(await self.look_up(account_id, call.reference))

    async def resolved(self, account_id: int, model: ModelSpec | NamedModel) -> ModelSpec:
        """The model that a request describes or names.

        Raises:
            Problem: 422, it cannot be built, or there is no such model or version; 503, as `look_up`.
        """
        if isinstance(model, NamedModel):
            return await self.look_up(account_id, model)
        built(model)
        return model

    def at_hand(self, account_id: int, reference: NamedModel) -> ModelSpec | None:
        """The model from memory: a version that existed within the last `CONFIRMED_S`; else None."""
        if reference.version is None:
            return None
        key = (account_id, reference.name, reference.version)
        return self._cache.get(key, confirmed_since=time.monotonic() - CONFIRMED_S)

    async def look_up(self, account_id: int, reference: NamedModel) -> ModelSpec:
        """The model from the store; from memory while the store is down.

        Raises:
            Problem: 422, there is no such model or version; 503, the store is down and memory does not have it.
        """
        question = _Question(account_id, reference, asyncio.get_running_loop().create_future())
        try:
            self._questions.submit(question)
        except QueueFull as e:
            raise problems.overloaded() from e
        return await question.answer

    async def _answer(self, batch: Sequence[_Question]) -> None:
        questions = [q for q in batch if not q.answer.done()]
        if time.monotonic() < self._gone_until:
            self._from_memory(questions)
            return
        try:
            await answer_within(self._timeout_s, self._from_store(questions))
        except POSTGRES_GONE as e:
            log.warning("named models cannot be read from Postgres: %r", e)
            self._gone_until = time.monotonic() + RETRY_S
            self._from_memory(questions)
        except Exception:
            log.exception("named models could not be looked up")
            for question in questions:
                question.settle(problems.internal())

    def _from_memory(self, questions: Sequence[_Question]) -> None:
        for question in questions:
            key = question.key(self._cache.latest(question.name))
            spec = None if key is None else self._cache.get(key)
            question.settle(problems.dependencies_gone("The model store") if spec is None else spec)

    async def _from_store(self, questions: Sequence[_Question]) -> None:
        asked_at = time.monotonic()
        spans = await self._store.spans({q.name for q in questions})
        wanted = {q: q.key(span[-1] if (span := spans.get(q.name)) else None) for q in questions}
        existing = {key for key in wanted.values() if key is not None and key[2] in spans.get(key[:2], ())}
        models: dict[Key, ModelSpec | Problem] = {k: m for k in existing if (m := self._cache.get(k)) is not None}
        missing = existing - models.keys()
        for key, document in (await self._store.documents(missing) if missing else {}).items():
            models[key] = _parsed(key, document)
            if not isinstance(spec := models[key], Problem):
                self._cache.keep(key, spec, len(document), asked_at)
        for question, asked in wanted.items():
            span = spans.get(question.name)
            self._cache.note_latest(question.name, span[-1] if span else None)
            if asked is not None and asked in models:
                self._cache.confirm(asked, asked_at)
                question.settle(models[asked])
            else:
                if asked is not None:
                    self._cache.forget(asked)
                question.settle(_unknown(question, span))


def _parsed(key: Key, document: str) -> ModelSpec | Problem:
    try:
        return read_model(orjson.loads(document))
    except Problem as problem:
        _, name, version = key
        wrong = f"Version {version} of {name!r} no longer passes: {problem.detail} Put a model that does."
        return problems.invalid(FieldError("/model/name", wrong))


def _unknown(question: _Question, span: range | None) -> Problem:
    account_id, name = question.name
    if not span:
        cure = f"GET /api/v1/{account_id}/models lists yours, PUT /api/v1/{account_id}/models/{name} makes it."
        return problems.invalid(FieldError("/model/name", f"There is no model {name!r}. {cure}"))
    wrong = f"Model {name!r} has the versions {span[0]} to {span[-1]}, not {question.reference.version}."
    return problems.invalid(FieldError("/model/version", wrong))

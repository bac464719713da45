"""A shard that dies, opens or is replaced costs a caller time, not its answer; one that stays away costs an error."""

import asyncio
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, RayActorError

from luna_serving.shards.client import ShardClient, ShardUnavailable
from luna_serving.shards.shard import NotOpen, shard_of


def answering(*answers: Any) -> tuple[Any, list[tuple[int, Any]]]:
    asked: list[tuple[int, Any]] = []

    async def ask(account_id: int, request: Any) -> Any:
        asked.append((account_id, request))
        answer = answers[min(len(asked), len(answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ask, asked


async def test_the_shard_of_the_account_is_asked() -> None:
    asks = [answering("first"), answering("second")]
    client = ShardClient([ask for ask, _ in asks])
    for account_id in range(20):
        answer = await client.ask(account_id, "what", timeout_s=1)
        assert answer == ("first", "second")[shard_of(account_id, 2)]
    assert sum(len(asked) for _, asked in asks) == 20


async def test_a_request_is_sent_again_to_a_shard_that_died_or_is_not_open() -> None:
    ask, asked = answering(RayActorError(), NotOpen(), ActorDiedError(), "the answer")
    assert await ShardClient([ask]).ask(1, "what", timeout_s=5) == "the answer"
    assert asked == [(1, "what")] * 4


@pytest.mark.parametrize("answer", [NotOpen(), RayActorError()])
async def test_without_an_answer_in_time_the_shard_is_unavailable(answer: Any) -> None:
    ask, asked = answering(answer)
    with pytest.raises(ShardUnavailable, match=r"account 7 did not answer within 0\.4 s"):
        await ShardClient([ask]).ask(7, "what", timeout_s=0.4)
    assert len(asked) > 1


async def test_a_shard_that_hangs_is_unavailable_and_its_work_is_cancelled() -> None:
    cancelled = asyncio.Event()

    async def ask(account_id: int, request: Any) -> Any:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    with pytest.raises(ShardUnavailable):
        await ShardClient([ask]).ask(1, "what", timeout_s=0.1)
    assert cancelled.is_set()


async def test_an_error_of_the_request_itself_is_passed_on() -> None:
    ask, asked = answering(ValueError("no such request"))
    with pytest.raises(ValueError, match="no such request"):
        await ShardClient([ask]).ask(1, "what", timeout_s=5)
    assert len(asked) == 1

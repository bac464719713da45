"""Random valid requests of all kinds over real HTTP: each 200 is sound, each refusal names a field of its request."""

import pytest
from tests.capabilities.kalman.random_requests import request_of
from tests.capabilities.kalman.self_checks import faults, resolves
from tests.serving.platform import Platform

from luna_serving.capabilities.kalman.wire.model import read_model

SEEDS = range(1, 13)


@pytest.mark.parametrize("seeds", [SEEDS], ids=str)
async def test_a_random_request_is_answered_soundly_or_refused_by_a_field_of_its_own(
    platform: Platform, seeds: range
) -> None:
    caller = await platform.caller()
    wrong: list[str] = []
    async with caller.client() as client:
        for seed in seeds:
            task, body = request_of(seed)
            answer = await client.post(f"/kalman/{task}", json=body)
            if answer.status_code == 200 and task != "simulate":
                directions = read_model(body["model"]).build().start.rank
                wrong += [f"{seed}: {fault}" for fault in faults(body, answer.json(), directions)]
            elif answer.status_code == 422:
                pointers = [each["pointer"] for each in answer.json()["errors"]]
                wrong += [f"{seed}: refused at {each}" for each in pointers if not resolves(body, each)]
            elif answer.status_code != 200:
                wrong.append(f"{seed}: {answer.status_code} {answer.text[:200]}")
    assert not wrong, "\n".join(wrong)

"""An installation without an object store: calls for data sets answer 503, to callers who are recognised."""

import httpx
import pytest
from tests.edge.running import access_of, as_it_is, nobody
from tests.store.stores import Store

from luna_serving.capabilities.datasets.routes import unconfigured
from luna_serving.edge.fastapi_app import build_api


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/upload/start"),
        ("POST", "/upload/complete"),
        ("GET", "/validation/6f6c4bde-8a55-4b1b-a9cf-6d1f3c9a1e0e/status"),
        ("GET", "/datasets"),
        ("DELETE", "/datasets/sales@1"),
        ("GET", "/datasets/sales/files/a.csv"),
    ],
)
async def test_calls_that_need_the_store_answer_503(store: Store, method: str, path: str) -> None:
    caller = await store.account()
    api = build_api([], [unconfigured.router(access_of(store).authorization)], nobody, as_it_is)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://luna/api/v1") as client:
        assert (await client.request(method, path)).status_code == 401
        answer = await client.request(method, path, headers={"X-API-Key": caller.key.secret})
    assert answer.status_code == 503
    assert "object store" in answer.json()["detail"]
    assert int(answer.headers["Retry-After"]) > 0

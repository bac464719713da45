"""`/webhooks/secret`: for admins of the account alone, made once, rotated with an overlap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tests.serving.people import bearer

from luna_store.people.roles import Role

if TYPE_CHECKING:
    from tests.serving.people import People


async def test_an_admin_reads_and_rotates_the_secret_and_nobody_else_does(people: People) -> None:
    caller = await people.luna.caller()
    path = f"/api/v1/{caller.id}/webhooks/secret"
    async with caller.client() as by_key:
        assert (await by_key.get("/webhooks/secret")).status_code == 403
    for role in (Role.VIEWER, Role.MEMBER):
        session = await people.signed_in(await people.member(caller.id, role=role))
        assert (await people.client.get(path, headers=bearer(session))).status_code == 403
        assert (await people.client.post(f"{path}/rotate", headers=bearer(session))).status_code == 403
    admin = bearer(await people.signed_in(await people.member(caller.id, role=Role.ADMIN)))
    first = await people.client.get(path, headers=admin)
    assert first.headers["cache-control"] == "no-store"
    assert (await people.client.get(path, headers=admin)).json() == first.json()
    assert first.json()["previous_valid_until"] is None
    rotated = (await people.client.post(f"{path}/rotate", headers=admin)).json()
    assert rotated["secret"] != first.json()["secret"]
    until = datetime.fromisoformat(rotated["previous_valid_until"])
    assert timedelta(hours=23) < until - datetime.now(UTC) <= timedelta(days=1)
    log = (await people.client.get(f"/api/v1/{caller.id}/audit", headers=admin)).json()["items"]
    assert log[0]["action"] == "webhook.secret-rotated"
    assert rotated["secret"] not in str(log)
    other = await people.luna.caller()
    assert (await people.client.get(f"/api/v1/{other.id}/webhooks/secret", headers=admin)).status_code == 403

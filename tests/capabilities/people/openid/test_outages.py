"""Providers and stores that are gone, slow or wrong: 503 for their sign-ins, and nothing for others."""

import asyncio
import time

import pytest
import redis
from tests.capabilities.people.openid.people import Website, address
from tests.capabilities.people.openid.strange import Strange

# While it pauses Redis answers nothing, not even the end of the pause.
PAUSE_MS = 12_000


async def signs_in(site: Website, strange: Strange) -> None:
    """Somebody signs in through a provider that is well."""
    email = address()
    await site.invite(email)
    async with site.browser() as browser:
        person = {"sub": email, "email": email, "email_verified": True}
        answer = await browser.open(strange.callback(await browser.asked("strange"), person))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("provider", ["down", "huge", "liar", "hmac", "plain"])
async def test_a_provider_that_cannot_be_used_is_answered_503_and_others_work(
    site: Website, strange: Strange, provider: str
) -> None:
    """Gone; a document of 10 MB; another issuer's; no asymmetric algorithm; an endpoint in plain http elsewhere."""
    async with site.browser() as browser:
        answer = await browser.begin(provider)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert provider in answer.json()["detail"]
    await signs_in(site, strange)


async def test_a_slow_provider_holds_up_its_own_people_for_a_bounded_time(site: Website, strange: Strange) -> None:
    async with site.browser() as browser:
        begun = time.monotonic()
        waiting = [asyncio.create_task(browser.begin("slow")) for _ in range(20)]
        await asyncio.sleep(0.2)
        await signs_in(site, strange)
        answers = await asyncio.gather(*waiting)
    assert {answer.status_code for answer in answers} == {503}
    # Its 3 s, in one request for all, and what a busy machine adds.
    assert time.monotonic() - begun < 15


async def test_a_provider_that_dies_before_the_code_is_redeemed_is_answered_503(
    site: Website, strange: Strange
) -> None:
    strange.issuers["slow-code"].token_delay_s = 30
    async with site.browser() as browser:
        answer = await browser.open(strange.callback(await browser.asked("slow-code"), {"sub": "x"}))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


async def test_without_redis_a_sign_in_is_answered_503(site: Website, strange: Strange) -> None:
    async with site.browser() as browser:
        callback = strange.callback(await browser.asked("strange"), {"sub": "x"})
        with redis.Redis.from_url(site.luna.redis_url) as client:
            client.client_pause(PAUSE_MS, all=True)
            ends = time.monotonic() + PAUSE_MS / 1000
            begun, finished = await browser.begin("strange"), await browser.open(callback)
            assert time.monotonic() < ends, "both answers are from the pause"
        await asyncio.sleep(ends + 0.5 - time.monotonic())
    for answer in (begun, finished):
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True), answer.text
    await signs_in(site, strange)


async def test_no_log_has_a_secret_in_it(site: Website, strange: Strange) -> None:
    """Of all sign-ins of this module and those before it; the level is DEBUG."""
    await signs_in(site, strange)
    log = site.luna.log.read_text()
    assert len(log) > 1000
    kept = [*site.secrets, *strange.codes, "the access token"]
    assert len(kept) > 3
    assert [secret for secret in kept if secret in log] == []

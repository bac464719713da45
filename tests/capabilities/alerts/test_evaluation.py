"""Evaluations on real Postgres, at times that the test chooses."""

import asyncio
import time
import uuid
from dataclasses import replace

import orjson
import pytest
from sqlalchemy import text
from tests.capabilities.alerts.evaluated import BY, START_MS, Evaluated
from tests.store.stores import Store

from luna_serving.capabilities.alerts.evaluation.timing import last_until, offset_of
from luna_serving.capabilities.alerts.store.event_log import EventLog
from luna_serving.capabilities.alerts.store.outbox import OUTBOX, claim
from luna_serving.capabilities.alerts.store.rules import Rules
from luna_store.platform.leases import LeaseLost, acquire, release


def aligned(rule_id: uuid.UUID, minute: int) -> int:
    """The time of a rule's evaluation in this minute."""
    return last_until(rule_id, 60_000, START_MS + minute * 60_000 + 59_999)


async def test_for_counts_in_postgres_whoever_evaluates(store: Store) -> None:
    first = await Evaluated.of(store)
    rule_id = await first.rule(**{"for": "2m"})
    first.cpu(0, 1.0)
    await first.at_ms(aligned(rule_id, 1))
    assert [each.state for each in await first.active()] == ["pending"]
    second = replace(await Evaluated.of(store), account_id=first.account_id, samples=first.samples)
    second.evaluator._batches._asks = first.samples
    await second.at_ms(aligned(rule_id, 2))
    assert [each.state for each in await first.active()] == ["pending"]
    await second.at_ms(aligned(rule_id, 3))
    (alert,) = await first.active()
    assert alert.state == "firing"
    assert alert.fired_at_ms == aligned(rule_id, 3)
    assert alert.fired_at_ms - alert.active_at_ms == 120_000


async def test_evaluations_are_at_the_rules_own_instants_and_missed_ones_are_counted(store: Store) -> None:
    luna = await Evaluated.of(store)
    rule_id = await luna.rule()
    assert await luna.at(0) == 1
    assert await luna.at(0) == 0
    late = aligned(rule_id, 10) + 12_345
    assert await luna.at_ms(late) == 1
    assert await luna.schedule(rule_id, "missed") in (9, 10)
    at = await luna.schedule(rule_id, "extract(epoch FROM last_at) * 1000")
    assert int(at) == aligned(rule_id, 10)
    assert int(at) % 60_000 == offset_of(rule_id, 60_000)


@pytest.mark.parametrize(("policy", "states"), [("keep", ["firing"]), ("resolve", []), ("alert", ["firing", "firing"])])
async def test_no_data_does_what_the_rule_says(store: Store, policy: str, states: list[str]) -> None:
    luna = await Evaluated.of(store)
    rule_id = await luna.rule(no_data=policy)
    luna.cpu(0, 1.0)
    await luna.at_ms(aligned(rule_id, 1))
    await luna.at_ms(aligned(rule_id, 20))
    alerts = await luna.active()
    assert [each.state for each in alerts] == states
    if policy == "alert":
        assert [each.labels.get("luna_no_data") for each in alerts] == [None, "true"]
        luna.cpu(21, 1.0)
        await luna.at_ms(aligned(rule_id, 22))
        assert [each.labels.get("luna_no_data") for each in await luna.active()] == [None]


async def test_an_empty_result_where_there_is_data_is_a_false_condition(store: Store) -> None:
    luna = await Evaluated.of(store)
    rule_id = await luna.rule(no_data="keep")
    luna.cpu(0, 1.0)
    await luna.at_ms(aligned(rule_id, 1))
    luna.cpu(1, 0.1)
    await luna.at_ms(aligned(rule_id, 2))
    assert await luna.active() == []
    assert [each.state for each in await luna.history()] == ["resolved"]


async def test_a_rule_that_never_had_data_alerts_if_it_says_so(store: Store) -> None:
    luna = await Evaluated.of(store)
    rule_id = await luna.rule("nothing > 1", no_data="alert")
    await luna.at_ms(aligned(rule_id, 1))
    (alert,) = await luna.active()
    assert alert.labels == {"alertname": "hot", "luna_no_data": "true"}


async def test_an_error_keeps_alerts_and_is_shown(store: Store) -> None:
    luna = await Evaluated.of(store, most_alerts=2)
    rule_id = await luna.rule()
    luna.cpu(0, 1.0)
    await luna.at_ms(aligned(rule_id, 1))
    for host in "bcd":
        luna.cpu(1.2, 1.0, host)
    await luna.at_ms(aligned(rule_id, 2))
    assert [each.labels["host"] for each in await luna.active()] == ["a"]
    assert "a rule may have 2" in await luna.schedule(rule_id, "error")
    luna.samples.gone = True
    await luna.at_ms(aligned(rule_id, 3))
    assert await luna.schedule(rule_id, "error") == "The shard did not answer."
    assert [each.state for each in await luna.active()] == ["firing"]


async def test_two_alerts_with_the_same_labels_are_an_error(store: Store) -> None:
    luna = await Evaluated.of(store)
    rule_id = await luna.rule(labels={"host": "all"})
    luna.cpu(0, 1.0, "a")
    luna.cpu(0, 1.0, "b")
    await luna.at_ms(aligned(rule_id, 1))
    assert "same labelset" in await luna.schedule(rule_id, "error")


async def test_late_samples_are_waited_for_by_the_query_offset(store: Store) -> None:
    luna = await Evaluated.of(store)
    rule_id = await luna.rule(query_offset="10m", no_data="resolve")
    luna.cpu(0, 1.0)
    await luna.at_ms(aligned(rule_id, 11))
    assert [each.state for each in await luna.active()] == ["firing"]
    await luna.at_ms(aligned(rule_id, 14))
    assert [each.state for each in await luna.active()] == ["firing"]


async def test_events_are_numbered_without_a_gap_and_published_after_the_commit(store: Store) -> None:
    luna = await Evaluated.of(store)
    one, two = await luna.rule(), await luna.rule("cpu > 0.5", name="warm")
    for minute, value in enumerate([1.0, 0.7, 0.1, 1.0]):
        luna.cpu(minute + 0.001, value)
        await luna.at_ms(max(aligned(one, minute), aligned(two, minute)) + 1)
    log, other = EventLog(store.engine), (await store.account()).account_id
    events = await log.missed(luna.account_id, 0, 100)
    assert [each.seq for each in events] == list(range(1, len(events) + 1))
    assert len(events) >= 4
    assert await log.missed(luna.account_id, 2, 1) == events[2:3]
    heads = await log.heads([luna.account_id, other])
    head = heads[luna.account_id]
    assert (head.seq, heads[other].seq) == (len(events), 0)
    assert heads == await log.heads([luna.account_id, other])
    published = [event for _, committed in luna.published for event in committed.events]
    assert [(each.seq, each.alert) for each in published] == [(e.seq, orjson.loads(e.alert)) for e in events]
    assert {str(committed.epoch) for _, committed in luna.published if committed.events} == {head.epoch}
    states = [(orjson.loads(e.alert)["name"], orjson.loads(e.alert)["state"]) for e in events]
    assert states[:2] in ([("hot", "firing"), ("warm", "firing")], [("warm", "firing"), ("hot", "firing")])


async def test_a_lost_lease_writes_nothing(store: Store) -> None:
    luna = await Evaluated.of(store)
    await luna.rule()
    luna.cpu(0, 1.0)
    await release(store.engine, luna.lease)
    assert await acquire(store.engine, luna.lease.name, "another", lasts_s=60) is not None
    with pytest.raises(LeaseLost):
        await luna.at(1)
    assert await luna.active() == []


async def test_a_rule_that_was_changed_meanwhile_is_evaluated_again_instead(store: Store) -> None:
    luna = await Evaluated.of(store)
    rule_id = await luna.rule()
    luna.cpu(0, 1.0)
    luna.samples.slow["cpu > 0.9"] = 0.3
    evaluating = asyncio.create_task(luna.at(1))
    await asyncio.sleep(0.1)
    rules = Rules(store.engine)
    stored = await rules.get(luna.account_id, rule_id)
    changed = {**stored.document, "expr": "cpu > 2"}
    await rules.replace(
        luna.account_id, rule_id, changed, lambda _: None, lambda _, __: stored.next_at, None, expected=None, by=BY
    )
    await evaluating
    assert await luna.active() == []
    assert luna.registry.get_sample_value("luna_alerts_evaluations_total", {"outcome": "dropped"}) == 1


async def test_a_slow_rule_is_asked_by_itself_and_delays_no_other(store: Store) -> None:
    luna = await Evaluated.of(store, slow_s=0.2)
    await luna.rule("cpu > 0.95", name="slow")
    quick = await luna.rule("cpu > 0.9")
    luna.cpu(0, 1.0)
    luna.samples.slow["cpu > 0.95"] = 0.5
    # The first batch holds both, and is slow: from then on each is asked by itself, and only the slow one stays so.
    for minute in (1, 2):
        await luna.at(minute)
    began = time.monotonic()
    await luna.evaluator.look(luna.lease, None)
    found = set()
    while quick not in found:
        rows = await store.scalar("SELECT array_agg(rule_id) FROM alert_schedule WHERE last_at > now() - interval '1h'")
        found = set(rows or [])
        await asyncio.sleep(0.01)
    assert time.monotonic() - began < 0.4
    await luna.evaluator.finished()


async def test_scalars_are_alerts_without_labels_and_ranges_are_errors(store: Store) -> None:
    luna = await Evaluated.of(store)
    await luna.rule("scalar(cpu) > bool 0.5", name="scalar")
    await luna.at(1)
    assert [each.labels for each in await luna.active()] == [{"alertname": "scalar"}]


async def test_a_rule_that_cannot_be_read_stops_no_other(store: Store) -> None:
    luna = await Evaluated.of(store)
    broken = await luna.rule(name="broken")
    good = await luna.rule(name="good")
    await store.execute('UPDATE alert_rules SET document = \'{"name": "x"}\' WHERE id = :id', id=broken)
    luna.cpu(0, 1.0)
    assert await luna.at(1) == 1
    assert await luna.at(1) == 0
    assert [each.rule_id for each in await luna.active()] == [good]


async def test_rules_of_an_account_that_may_no_longer_read_fail_and_alerts_stay(store: Store) -> None:
    luna = await Evaluated.of(store)
    rule_id = await luna.rule()
    luna.cpu(0, 1.0)
    await luna.at_ms(aligned(rule_id, 1))
    await store.accounts.update(luna.account_id, allowed={"metrics": ["ingest"]})
    luna.cpu(2, 0.0)
    asked = luna.samples.asked
    await luna.at_ms(aligned(rule_id, 2))
    assert luna.samples.asked == asked
    assert "query of metrics" in await luna.schedule(rule_id, "error")
    assert [each.state for each in await luna.active()] == ["firing"]
    await store.accounts.update(luna.account_id, allowed={"*": ["*"]})
    await luna.at_ms(aligned(rule_id, 3))
    assert await luna.schedule(rule_id, "error") is None
    assert await luna.active() == []


async def test_messages_of_a_flapping_rule_are_bounded_and_the_newest_are_kept(store: Store) -> None:
    luna = await Evaluated.of(store, most_waiting=5)
    rule_id = await luna.rule(webhook="https://example.com/hook")
    other_id = await luna.rule(expr="cpu > 2", name="calm", webhook="https://example.com/hook")

    async def flap(minutes: range) -> None:
        for minute in minutes:
            luna.cpu(minute, float(minute % 2))
            await luna.at_ms(aligned(rule_id, minute))

    async def waiting() -> list[tuple[str, int]]:
        async with store.engine.connect() as connection:
            rows = await connection.execute(
                text("SELECT body, tries FROM alert_notifications WHERE rule_id = :id ORDER BY place"), {"id": rule_id}
            )
            return [(orjson.loads(row.body)["type"].partition(".")[2], row.tries) for row in rows]

    def dropped() -> float:
        return luna.registry.get_sample_value("luna_alerts_notifications_dropped_total") or 0.0

    await flap(range(1, 4))
    assert [kind for kind, _ in await waiting()] == ["firing", "resolved", "firing"]
    (head,) = await claim(store.engine, 10, per_account=8, busy={})
    await flap(range(4, 21))
    kept = await waiting()
    assert [tries for _, tries in kept] == [1, 0, 0, 0, 0], "what is being sent stays, and all are as many as may wait"
    assert [kind for kind, _ in kept] == ["firing", "firing", "resolved", "firing", "resolved"]
    assert dropped() == 20 - 5
    assert await OUTBOX.settle(store.engine, head, delivered=True, again_in_s=None, error=None)
    order = []
    for _ in range(4):
        (each,) = await claim(store.engine, 10, per_account=8, busy={})
        order.append(orjson.loads(each.body)["timestamp"])
        await OUTBOX.settle(store.engine, each, delivered=True, again_in_s=None, error=None)
    assert order == sorted(order)
    assert await claim(store.engine, 10, per_account=8, busy={}) == []
    assert await store.scalar("SELECT count(*) FROM alert_events WHERE account_id = :id", id=luna.account_id) == 20
    assert await luna.schedule(other_id, "error") is None

"""A debit that is traced: its event names the request's span, and settlement links to it."""

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.store.stores import Store

from luna_store.ledger.event_streams import read_events
from luna_store.platform.traces import Traces
from luna_store.quota.debits import Outcome
from luna_store.settlement.settlement import Settler

TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
PARENT = f"00-{TRACE:032x}-{SPAN:016x}-01"


async def test_an_event_names_the_span_of_its_request_if_there_is_one(store: Store) -> None:
    caller = await store.account()
    plain, traced = caller.debit(2), caller.debit(3, traceparent=PARENT)
    bare = caller.debit(4, traceparent=PARENT, amounts={})
    assert [d.outcome for d in await store.quota.debit([plain, traced, bare])] == [Outcome.OK] * 3
    events = await read_events(store.redis, caller.account_id)
    assert [(e.units, e.traceparent) for e in events] == [(2, ""), (3, PARENT), (4, PARENT)]


async def test_limits_hold_for_a_debit_that_is_traced(store: Store) -> None:
    caller = await store.account(max_series_length=10)
    (decision,) = await store.quota.debit([caller.debit(length=11, traceparent=PARENT)])
    assert (decision.outcome, decision.exceeded) == (Outcome.LIMIT, "max_series_length")


async def test_settlement_links_its_span_to_the_requests_that_it_books(store: Store) -> None:
    exporter = InMemorySpanExporter()
    traces = Traces("settlement", exporter)
    settler = Settler(store.engine, store.redis, traces=traces)
    caller, other = await store.account(), await store.account()
    await store.quota.debit([other.debit(), caller.debit(2, traceparent=PARENT)])
    assert await settler.settle() == 2
    await store.quota.debit([other.debit()])
    assert await settler.settle() == 1
    traces.close()
    (span,) = exporter.get_finished_spans()
    assert (span.name, span.attributes) == ("settle", {"luna.events": 2})
    assert [(link.context.trace_id, link.context.span_id) for link in span.links] == [(TRACE, SPAN)]
    assert (await store.used(caller.account_id), await store.used(other.account_id)) == (2, 2)

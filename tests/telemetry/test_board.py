from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from luna_serving.telemetry.board import SILENT_S, MetricsBoard, snapshot


class Replica:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.calls = Counter("calls_total", "Calls.", ["route"], registry=self.registry)
        self.queued = Gauge("queued", "Queued.", registry=self.registry)
        self.seconds = Histogram("seconds", "Time.", buckets=(0.1, 1.0), registry=self.registry)


def values(board: MetricsBoard) -> dict[str, float]:
    families = text_string_to_metric_families(board.render().decode())
    return {f"{s.name}{sorted(s.labels.items())}": s.value for family in families for s in family.samples}


def test_replicas_are_added_up_and_reporting_twice_counts_once() -> None:
    board, one, two = MetricsBoard(lambda: 0.0), Replica(), Replica()
    one.calls.labels("a").inc(3)
    two.calls.labels("a").inc(4)
    two.calls.labels("b").inc()
    one.queued.set(2)
    two.queued.set(5)
    one.seconds.observe(0.05)
    two.seconds.observe(0.5)
    for _ in range(2):
        board.report("one", tuple(snapshot(one.registry)))
        board.report("two", tuple(snapshot(two.registry)))
    found = values(board)
    assert found["calls_total[('route', 'a')]"] == 7
    assert found["calls_total[('route', 'b')]"] == 1
    assert found["queued[]"] == 7
    assert found["seconds_bucket[('le', '0.1')]"] == 1
    assert found["seconds_bucket[('le', '+Inf')]"] == 2
    assert found["seconds_count[]"] == 2


def test_the_counters_of_a_replica_that_left_stay_and_its_gauges_go() -> None:
    now = 0.0
    board, old, new = MetricsBoard(lambda: now), Replica(), Replica()
    old.calls.labels("a").inc(3)
    old.queued.set(9)
    board.report("old", tuple(snapshot(old.registry)))
    now = SILENT_S + 1
    new.calls.labels("a").inc(1)
    board.report("new", tuple(snapshot(new.registry)))
    for _ in range(2):
        found = values(board)
        assert found["calls_total[('route', 'a')]"] == 4
        assert found["queued[]"] == 0


def test_buckets_stand_in_the_order_of_their_bounds() -> None:
    board, replica = MetricsBoard(lambda: 0.0), Replica()
    replica.seconds.observe(0.5)
    board.report("one", tuple(snapshot(replica.registry)))
    bounds = [line.split('"')[1] for line in board.render().decode().splitlines() if "seconds_bucket" in line]
    assert bounds == ["0.1", "1.0", "+Inf"]

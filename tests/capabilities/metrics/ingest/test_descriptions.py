"""What is kept of metadata."""

from luna_serving.capabilities.metrics.ingest.descriptions import MAX_HELP, described
from luna_serving.capabilities.metrics.ingest.results import Metadata, MetricType


def test_what_postgres_cannot_store_is_left_out_and_long_texts_are_cut() -> None:
    sent = [
        Metadata("cpu", MetricType.GAUGE, "a\0b", "s"),
        Metadata("long", MetricType.COUNTER, "x" * 5_000, "y" * 5_000),
        *(Metadata(name, MetricType.GAUGE, "", "") for name in ("", "a\0", "n" * 5_000)),
    ]
    found = described(sent)
    assert list(found) == ["cpu", "long"]
    assert found["cpu"] == ("gauge", "a\ufffdb", "s")
    assert len(found["long"][1]) == MAX_HELP

"""`python -m benchmarks.metrics.parsing`: the parsers of ingest on one core, beside the decoder that each builds on.

One request per protocol, of the same series with one sample each, but for columns. `decoder` is orjson.loads, or
ParseFromString of google.protobuf, alone. `new` is the first request with its series: later ones find them in the
cache. Contenders take turns, and the best round of each counts.
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cramjam
import orjson
from benchmarks import machine
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from luna_serving.capabilities.metrics.ingest.checking import Bounds
from luna_serving.capabilities.metrics.ingest.influx import InfluxParser
from luna_serving.capabilities.metrics.ingest.json_batch import JsonParser
from luna_serving.capabilities.metrics.ingest.otlp import Encoding, OtlpParser
from luna_serving.capabilities.metrics.ingest.remote_write import Protocol, RemoteWriteParser
from luna_serving.capabilities.metrics.ingest.results import Parsed
from luna_serving.capabilities.metrics.ingest.series_cache import SeriesCache

from .prometheus_messages import Request, WriteRequest

NOW = 1_795_867_200_000
BOUNDS = Bounds.at(NOW, 90 * 86_400_000, max_labels=32, max_samples=200_000)
POINTS = 100
MAX_BYTES = 64 << 20
PACKAGES = ("luna", "orjson", "protobuf", "cramjam", "numpy")


@dataclass(frozen=True)
class Contender:
    """A parser with a request."""

    name: str
    samples: int
    parser: Callable[[], Callable[[], Parsed]]
    """Makes a parser that has seen nothing, bound to the request."""
    decoder: Callable[[], object] | None


def labels(i: int) -> dict[str, str]:
    """Six labels, the name among them."""
    return {
        "__name__": "http_requests_total",
        "code": str(200 + i % 5),
        "handler": f"/api/v1/resource{i % 100}",
        "instance": f"10.0.{i // 256}.{i % 256}:9090",
        "job": "web",
        "method": "GET",
    }


def value(i: int) -> float:
    """A value with many digits."""
    return math.sin(i) * 1e4


def remote_write(series: int) -> list[Contender]:
    """Both versions, as Prometheus sends them: sorted labels, metadata in 2.0."""
    first, second, symbols = WriteRequest(), Request(), {"": 0}

    def ref(text: str) -> int:
        return symbols.setdefault(text, len(symbols))

    for i in range(series):
        one, two = first.timeseries.add(), second.timeseries.add()
        for name, text in sorted(labels(i).items()):
            one.labels.add(name=name, value=text)
            two.labels_refs.extend((ref(name), ref(text)))
        one.samples.add(value=value(i), timestamp=NOW)
        two.samples.add(value=value(i), timestamp=NOW)
        two.metadata.type = 1
        two.metadata.help_ref = ref("How many requests.")
    second.symbols.extend(symbols)

    def contender(name: str, protocol: Protocol, message: WriteRequest | Request) -> Contender:
        raw = message.SerializeToString()
        body = bytes(cramjam.snappy.compress_raw(raw))

        def fresh() -> Callable[[], Parsed]:
            parser = RemoteWriteParser(SeriesCache(), MAX_BYTES)
            return lambda: parser.parse(protocol, body, BOUNDS)

        return Contender(name, series, fresh, lambda: type(message).FromString(raw))

    return [contender("remote write 1.0", Protocol.V1, first), contender("remote write 2.0", Protocol.V2, second)]


def in_json(series: int) -> list[Contender]:
    """Items with times of both forms, and columns of `POINTS` samples per series."""

    def item(i: int, stamp: object) -> dict[str, object]:
        rest = labels(i)
        return {"name": rest.pop("__name__"), "value": value(i), "timestamp": stamp, "labels": rest}

    def column(i: int) -> dict[str, object]:
        rest = labels(i)
        stamps = [NOW - 15_000 * k for k in range(POINTS)]
        return {
            "name": rest.pop("__name__"),
            "labels": rest,
            "timestamps": stamps,
            "values": [value(i * POINTS + k) for k in range(POINTS)],
        }

    def contender(name: str, samples: int, document: object) -> Contender:
        body = orjson.dumps(document)

        def fresh() -> Callable[[], Parsed]:
            parser = JsonParser(SeriesCache())
            return lambda: parser.parse(body, BOUNDS)

        return Contender(name, samples, fresh, lambda: orjson.loads(body))

    some = max(1, series // 2)
    return [
        contender("JSON items", series, {"metrics": [item(i, NOW) for i in range(series)]}),
        contender(
            "JSON items, RFC 3339", series, {"metrics": [item(i, "2026-11-28T12:00:00.000Z") for i in range(series)]}
        ),
        contender("JSON columns", some * POINTS, {"series": [column(i) for i in range(some)]}),
    ]


def otlp(series: int) -> Contender:
    """One counter with a data point per series, in protobuf."""
    message = ExportMetricsServiceRequest()
    metric = message.resource_metrics.add().scope_metrics.add().metrics.add(name="http.requests")
    metric.sum.aggregation_temporality = 2
    metric.sum.is_monotonic = True
    for i in range(series):
        rest = labels(i)
        rest.pop("__name__")
        point = metric.sum.data_points.add(time_unix_nano=NOW * 1_000_000, as_double=value(i))
        for name, text in rest.items():
            point.attributes.add(key=name).value.string_value = text
    body = message.SerializeToString()

    def fresh() -> Callable[[], Parsed]:
        parser = OtlpParser(SeriesCache())
        return lambda: parser.parse(Encoding.PROTOBUF, body, BOUNDS)

    return Contender("OTLP, protobuf", series, fresh, lambda: ExportMetricsServiceRequest.FromString(body))


def influx(series: int) -> Contender:
    """A line per series."""
    lines = []
    for i in range(series):
        rest = labels(i)
        tags = ",".join(f"{name}={text}" for name, text in rest.items() if name != "__name__")
        lines.append(f"http,{tags} requests_total={value(i)!r} {NOW}")
    body = "\n".join(lines).encode()

    def fresh() -> Callable[[], Parsed]:
        parser = InfluxParser(SeriesCache())
        return lambda: parser.parse(body, "ms", BOUNDS)

    return Contender("line protocol", series, fresh, None)


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def measure(contenders: list[Contender], rounds: int) -> list[dict[str, object]]:
    """Samples per second of each."""
    warm = [each.parser() for each in contenders]
    for each, parse in zip(contenders, warm, strict=True):
        found = parse()
        if found.batch.samples != each.samples:
            raise SystemExit(f"{each.name}: {found.rejections.in_words()}")
    best: list[dict[str, float]] = [{} for _ in contenders]
    for _ in range(rounds):
        for figures, each, parse in zip(best, contenders, warm, strict=True):
            times = {"known": seconds(parse), "new": seconds(each.parser())}
            if each.decoder is not None:
                times["decoder"] = seconds(each.decoder)
            for name, took in times.items():
                figures[name] = min(took, figures.get(name, math.inf))
    return [
        {
            "protocol": each.name,
            "samples": each.samples,
            "samples_per_s": each.samples / figures["known"],
            "new_per_s": each.samples / figures["new"],
            "times_decoder": figures["known"] / figures["decoder"] if "decoder" in figures else None,
        }
        for each, figures in zip(contenders, best, strict=True)
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and write if asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.metrics.parsing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--series", type=int, default=2_000, metavar="N", help="series per request (2000)")
    parser.add_argument("--rounds", type=int, default=20, metavar="N", help="turns of each contender (20)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    options = parser.parse_args(arguments)
    facts = machine.facts(PACKAGES)
    contenders = [*in_json(options.series), *remote_write(options.series), otlp(options.series), influx(options.series)]
    figures = measure(contenders, options.rounds)
    for name, text in facts.items():
        print(f"{name}: {text}")
    print(f"\n| {options.series} series, 6 labels | samples/s | of new series | time, decoder = 1 |\n|---|---|---|---|")
    for row in figures:
        ratio = "" if row["times_decoder"] is None else f"{row['times_decoder']:.1f}"
        print(f"| {row['protocol']} | {row['samples_per_s']:,.0f} | {row['new_per_s']:,.0f} | {ratio} |")
    if options.json:
        options.json.write_text(json.dumps({**facts, "parsing": figures}, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Claims about times: frequencies, gaps, zones and epochs are read as their owner means them."""

from datetime import date, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from luna_serving.capabilities.datasets.validation.tables.validator import validate


def check(folder, times, contract=None, values=None):
    """The findings by rule, and the summary, of a file with these times."""
    file = folder / "a.csv"
    values = values or [i % 7 for i in range(len(times))]
    file.write_text("ts,y\n" + "".join(f"{ts},{y}\n" for ts, y in zip(times, values, strict=True)))
    return check_file(file, contract)


def check_file(file, contract=None):
    sent = []
    asked = {"time_column": "ts", "value_columns": ["y"], **(contract or {})}
    summary = validate({"file": str(file), "path": file.name, "type": "series", "contract": asked}, sent.append)
    findings = {}
    for message in sent:
        if "finding" in message:
            findings.setdefault(message["finding"]["id"], []).append(message["finding"])
    return findings, summary


def days(first, count, step=1):
    return [date.fromisoformat(first) + timedelta(days=i * step) for i in range(count)]


def months(count, step=1, day=1):
    return [date(2000 + i * step // 12, i * step % 12 + 1, day) for i in range(count)]


def month_ends(count):
    return [first - timedelta(days=1) for first in months(count + 1)[1:]]


@pytest.mark.parametrize(
    ("times", "frequency"),
    [
        (days("2024-01-01", 60), "D"),
        ([d for d in days("2024-01-01", 60) if d.weekday() < 5], "B"),
        (days("2024-01-01", 40, 7), "W"),
        (days("2024-01-01", 40, 14), "2W"),
        (months(60), "M"),
        (month_ends(60), "M"),
        (months(40, 3), "Q"),
        (months(30, 12), "Y"),
        ([f"2024-01-01T{h:02}:00" for h in range(24)], "h"),
        ([f"2024-01-01T{m // 60:02}:{m % 60:02}" for m in range(0, 600, 15)], "15min"),
        ([f"2024-01-01 00:00:00.{ms:03}" for ms in range(0, 1000, 20)], "20ms"),
        ([str(year) for year in range(1980, 2020)], "Y"),
    ],
)
def test_the_frequency_is_found_and_there_are_no_gaps(tmp_path, times, frequency):
    findings, summary = check(tmp_path, times)
    assert summary["frequency"] == frequency
    assert {"TS004", "TS005", "TS013"} & set(findings) == set()


@pytest.mark.parametrize(
    ("times", "left_out", "missing"),
    [
        (days("2024-01-01", 60), slice(10, 13), 3),
        (months(60), slice(20, 21), 1),
        (month_ends(60), slice(20, 22), 2),
        ([f"2024-01-0{d}T{h:02}:00" for d in range(1, 5) for h in range(24)], slice(30, 60), 30),
    ],
)
def test_a_gap_has_start_end_and_count(tmp_path, times, left_out, missing):
    kept = [*times[: left_out.start], *times[left_out.stop :]]
    findings, _ = check(tmp_path, kept)
    [gap] = findings["TS004"]
    assert (gap["row"], gap["count"]) == (left_out.start, missing)
    assert str(times[left_out.start - 1]) in gap["message"]
    assert str(times[left_out.stop]) in gap["message"]


def test_holidays_are_no_gaps_of_business_days_and_coverage_says_so(tmp_path):
    times = [d for d in days("2024-01-01", 120) if d.weekday() < 5 and d != date(2024, 3, 29)]
    findings, summary = check(tmp_path, times)
    assert "TS004" not in findings
    assert [gap["check"] for gap in summary["coverage"]] == ["short gaps of business days"]


def test_gaps_and_duplicates_do_not_depend_on_the_order_of_rows(tmp_path):
    times = days("2024-01-01", 40)
    del times[20]
    times = [*times[30:], *times[:30], times[3]]
    findings, summary = check(tmp_path, times)
    assert findings["TS002"][0]["row"] == 9
    assert (findings["TS003"][0]["row"], findings["TS003"][0]["count"]) == (39, 1)
    [gap] = findings["TS004"]
    assert gap["count"] == 1
    assert summary["frequency"] == "D"


def test_days_of_a_zone_are_days_though_clocks_change(tmp_path):
    # Midnight in Berlin: 23:00 in winter, 22:00 in summer.
    times = [
        f"{d}T00:00:00+0{1 if d < date(2024, 3, 31) or d == date(2024, 3, 31) else 2}:00"
        for d in days("2024-03-01", 60)
    ]
    findings, summary = check(tmp_path, times, {"timezone": "Europe/Berlin"})
    assert summary["frequency"] == "D"
    assert {"TS004", "TS005", "TS013"} & set(findings) == set()
    findings, _ = check(tmp_path, times, {"frequency": "D"})
    assert "TS005" in findings


def test_hours_that_a_zone_has_twice_are_a_warning(tmp_path):
    times = [f"2024-10-27T0{h}:30" for h in range(7)]
    findings, _ = check(tmp_path, times, {"timezone": "Europe/Berlin"})
    [twice] = findings["TS008"]
    assert (twice["row"], twice["count"], twice["value"]) == (2, 1, "2024-10-27T02:30:00")


@pytest.mark.parametrize(("factor", "unit"), [(1, "s"), (1_000, "ms"), (1_000_000, "us"), (1_000_000_000, "ns")])
def test_epochs_are_recognised_by_their_size(tmp_path, factor, unit):
    findings, summary = check(tmp_path, [(1_704_067_200 + i * 3600) * factor for i in range(60)])
    assert summary["times"] == unit
    assert summary["start"] == "2024-01-01"
    assert summary["frequency"] == "h"
    assert unit in findings["TS009"][0]["message"]


def test_counters_are_no_times(tmp_path):
    findings, _ = check(tmp_path, list(range(60)))
    assert (findings["TS001"][0]["row"], findings["TS001"][0]["count"]) == (0, 60)


def test_irregular_times_are_a_warning_and_gaps_are_not_looked_for(tmp_path):
    times = [f"2024-01-{d:02}T{(d * d * 7) % 24:02}:{(d * 13) % 60:02}" for d in range(1, 29)]
    findings, summary = check(tmp_path, times)
    assert "TS013" in findings
    assert "TS004" not in findings
    assert summary["frequency"] is None
    assert "gaps" in [gap["check"] for gap in summary["coverage"]]


def test_a_series_shorter_than_two_seasons_is_a_warning(tmp_path):
    findings, _ = check(tmp_path, months(20))
    assert "two seasons of 12" in findings["TS012"][0]["message"]
    findings, _ = check(tmp_path, months(24))
    assert "TS012" not in findings


def test_a_constant_stretch_is_a_warning_and_zeros_are_not(tmp_path):
    times = [f"2024-01-{d:02}T{h:02}:00" for d in range(1, 11) for h in range(24)]
    values = [i % 5 for i in range(240)]
    values[100:160] = [7] * 60
    values[180:240] = [0] * 60
    findings, _ = check(tmp_path, times, values=values)
    [stretch] = findings["VAL004"]
    assert (stretch["row"], stretch["count"], stretch["value"]) == (100, 1, "7")


@pytest.mark.parametrize(
    "kind", [pa.timestamp("s"), pa.timestamp("ns", "America/New_York"), pa.date32(), pa.date64(), pa.string()]
)
def test_every_type_of_time_in_a_parquet_file_is_read(tmp_path, kind):
    times = pa.array([d.isoformat() for d in days("2024-01-01", 40)])
    if kind != pa.string():
        naive = times.cast(pa.timestamp("s"))
        times = (
            naive.cast(pa.timestamp("ns")).cast(kind)
            if not getattr(kind, "tz", None)
            else naive.cast(pa.timestamp("ns", "UTC")).cast(kind)
        )
    pq.write_table(pa.table({"ts": times, "y": [float(i % 5) for i in range(40)]}), tmp_path / "a.parquet")
    findings, summary = check_file(tmp_path / "a.parquet")
    assert (summary["rows"], summary["start"], summary["end"], summary["frequency"]) == (
        40,
        "2024-01-01",
        "2024-02-09",
        "D",
    )
    assert {f for f in findings if f != "TS012"} == set()

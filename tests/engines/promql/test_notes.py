"""Warnings and infos name the place in the query that they are about. The scripts cannot say that."""

import pytest
from tests.engines.promql.evaluating import instant
from tests.engines.promql.promqltest import evaluations

from luna_serving.engines.promql.results import Vector

LOAD = """load 1m
  gauge{id="1"} 1 2 3 4 5 6
  jobs_total 1 2 3 4 5 6
  falling_bucket{le="1"} 10x5
  falling_bucket{le="2"} 8x5
  falling_bucket{le="+Inf"} 20x5
  bad_bucket{le="x"} 1x5
  no_le 5x5
"""
NOT_A_COUNTER = 'info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "gauge"'
QUANTILE = "warning: quantile value should be between 0 and 1, got"
LE = 'warning: bucket label "le" is missing or has a malformed value of'
NOTED = [
    ("rate(gauge[3m])", f"{NOT_A_COUNTER} (1:6)"),
    ('1 + increase( gauge{id="1"}[3m] )', f"{NOT_A_COUNTER} (1:15)"),
    ("sum by (id) (rate(gauge[3m])) / on () group_left () sum(rate(jobs_total[3m]))", f"{NOT_A_COUNTER} (1:19)"),
    ("-rate({id='1'}[4m] @ 300)", f"{NOT_A_COUNTER} (1:7)"),
    ("max_over_time(rate(gauge[2m])[3m:1m])", f"{NOT_A_COUNTER} (1:20)"),
    ("quantile(1.5, gauge)", f"{QUANTILE} 1.5 (1:10)"),
    ("quantile by (id) ( -0.5 , gauge)", f"{QUANTILE} -0.5 (1:20)"),
    ("quantile_over_time(scalar(gauge), gauge[3m])", f"{QUANTILE} 6 (1:20)"),
    ("histogram_quantile(NaN, falling_bucket)", f"{QUANTILE} NaN (1:20)"),
    ("abs(histogram_quantile(0.5, no_le))", f'{LE} "" (1:29)'),
    ("histogram_fraction(0, 1, bad_bucket)", f'{LE} "x" (1:26)'),
    (
        "histogram_quantile(0.5, falling_bucket)",
        (
            "info: input to histogram_quantile needed to be fixed for monotonicity "
            "(see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile), "
            "from buckets 2 to 2, with a max diff of 2, "
            "over 1 samples from 1970-01-01T00:05:00Z to 1970-01-01T00:05:00Z (1:25)"
        ),
    ),
]


@pytest.mark.parametrize(("query", "note"), NOTED, ids=[query for query, _ in NOTED])
def test_a_note_names_its_place(query: str, note: str) -> None:
    [loaded] = evaluations(f"{LOAD}\neval instant at 0 0\n", "notes")
    result = instant(query, loaded.data, 300_000)
    assert isinstance(result, Vector)
    assert [*result.warnings, *result.infos] == [f"PromQL {note}"]


@pytest.mark.parametrize(
    "query", ["delta(gauge[3m])", "rate(jobs_total[3m])", "rate(gauge[1m])", "quantile(0.5, gauge)"]
)
def test_other_queries_have_no_notes(query: str) -> None:
    [loaded] = evaluations(f"{LOAD}\neval instant at 0 0\n", "notes")
    result = instant(query, loaded.data, 300_000)
    assert (result.warnings, result.infos) == ((), ())

"""The benchmark of the filter: small runs of the real thing, with the one peer that every installation has."""

import json
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from benchmarks.statespace.__main__ import main
from benchmarks.statespace.luna import FilterBatch
from benchmarks.statespace.measure import measure, shortened
from benchmarks.statespace.plot import can_plot
from benchmarks.statespace.timing import copy_bandwidth
from benchmarks.statespace.workload import Size, Task, WrongAnswerError

from luna_serving.engines.statespace.process.jax_process import configure_jax

configure_jax()


class Altered(FilterBatch):
    """Luna, but a hair off in one number."""

    name = "altered"

    def __init__(self, what, by):
        super().__init__(None)
        self.what, self.by = what, by

    def prepare(self, task, y):
        prepared = super().prepare(task, y)

        def one(found, place):
            answer = prepared.one(found, place)
            return answer._replace(**{self.what: getattr(answer, self.what) + self.by})

        return replace(prepared, one=one)


def test_a_quick_run_measures_luna_beside_statsmodels_at_every_task(tmp_path, capsys):
    file, picture = tmp_path / "statespace.json", tmp_path / "scaling.png"
    options = ["--peers", "statsmodels", "--rounds", "1", "--json", str(file), "--plot", str(picture)]
    assert main(["--quick", *options]) == 0
    seen = json.loads(file.read_text())
    assert {cell["task"] for cell in seen["cells"]} == {"means", "gaps", "full"}
    for cell in seen["cells"]:
        ways = ["filter_batch"]
        assert [way["name"] for way in cell["luna"]] == ways
        assert [peer["name"] for peer in cell["peers"]] == ["statsmodels"]
        assert all(each["steps_per_s"] > 0 for each in (*cell["luna"], *cell["peers"]))
    printed = capsys.readouterr().out
    rows = re.findall(r"^ +1024 +1000  (filter_batch) +\S+ [kMG] +\S+ % +\S+$", printed, re.MULTILINE)
    assert rows == 3 * ["filter_batch"]
    assert picture.exists() == can_plot()


def test_a_peer_that_is_not_installed_is_named_and_left_out(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "simdkalman", None)
    options = ["--peers", "statsmodels,simdkalman", "--series", "2", "--periods", "50", "--rounds", "1"]
    assert main(options) == 0
    printed = capsys.readouterr().out
    assert "simdkalman is left out" in printed
    assert "÷ statsmodels" in printed
    assert "÷ simdkalman" not in printed


@pytest.mark.parametrize("what", ["means", "covs", "loglike_obs"])
@pytest.mark.parametrize("by", [1e-5, np.nan])
def test_nothing_is_timed_beside_an_answer_that_is_off(what, by):
    with pytest.raises(WrongAnswerError, match="altered"):
        measure(Task.FULL, Size(2, 30), [FilterBatch(None)], [Altered(what, by)], rounds=1, call_s=1)


def test_a_rounding_error_is_no_wrong_answer():
    cell = measure(Task.FULL, Size(2, 30), [FilterBatch(None)], [Altered("means", 1e-9)], rounds=2, call_s=1)
    assert [len(each.seconds) for each in (*cell.luna, *cell.peers)] == [2, 2]


@pytest.mark.parametrize(
    ("shortens", "steps", "size"),
    [
        (None, 10, (50, 1000)),
        ("series", 50_000, (50, 1000)),
        ("series", 3_500, (3, 1000)),
        ("series", 400, (1, 400)),
        ("series", 2, (1, 100)),
        ("periods", 3_500, (50, 70)),
        ("periods", 2, (50, 8)),
    ],
)
def test_a_slow_peer_does_a_part_of_the_work_never_more_nor_next_to_nothing(shortens, steps, size):
    peer = FilterBatch(None)
    peer.shortens = shortens
    assert shortened(peer, Size(50, 1000), steps) == size


def test_copying_is_counted_as_read_and_written_whatever_the_threads():
    assert all(1e8 < copy_bandwidth(2, threads) < 1e13 for threads in (1, 3))

"""The rules of a stream, by themselves."""

import json
import uuid

import pytest

from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec
from luna_serving.capabilities.kalman.store.stream_records import KeptAnswers, debit_id
from luna_serving.capabilities.kalman.streams import protocol
from luna_serving.capabilities.kalman.streams.messages import Open, Points, Resume, read_message, read_values
from luna_serving.capabilities.kalman.streams.protocol import StreamRules, StreamSetup
from luna_serving.edge.sockets import with_key_of_subprotocol
from luna_serving.wire import problems
from luna_serving.wire.problems import Problem

RULES = StreamRules(max_points=1000, replay_points=500, replay_numbers=10_000, max_lag=10)
LEVEL = ModelSpec.of("local_level", {"obs_var": 1.0, "level_var": 0.1})
KEPT = [KeptAnswers(3, 5, "[3,4,5]"), KeptAnswers(6, 6, "[6]"), KeptAnswers(7, 9, "[7,8,9]")]


@pytest.mark.parametrize(
    ("first", "count", "where"), [(5, 1, "next"), (5, 9, "next"), (4, 1, "again"), (1, 4, "again"), (2, 2, "again")]
)
def test_points_are_the_next_or_were_taken(first: int, count: int, where: str) -> None:
    assert protocol.place(first, count, 4) == where


@pytest.mark.parametrize(("first", "count"), [(6, 1), (100, 1), (4, 2), (1, 5)])
def test_points_out_of_step_are_told_the_number_that_is_expected(first: int, count: int) -> None:
    with pytest.raises(Problem) as wrong:
        protocol.place(first, count, 4)
    assert (wrong.value.status, wrong.value.extra) == (409, {"expected": 5})


def test_answers_are_repeated_from_the_point_that_is_missing() -> None:
    assert protocol.repeated(KEPT, 2, 9) == [(3, "[3,4,5]"), (6, "[6]"), (7, "[7,8,9]")]
    assert protocol.repeated(KEPT, 4, 8) == [(5, "[5]"), (6, "[6]"), (7, "[7,8]")]
    assert protocol.repeated(KEPT[1:], 5, 6) == [(6, "[6]")]
    assert protocol.repeated([], 9, 9) == []
    assert protocol.joined(protocol.repeated(KEPT, 4, 8)) == (5, "[5,6,7,8]")


@pytest.mark.parametrize(("kept", "oldest"), [(KEPT, 3), ([], 10)])
def test_answers_that_are_gone_are_named_with_the_oldest_that_is_kept(kept: list[KeptAnswers], oldest: int) -> None:
    with pytest.raises(Problem) as gone:
        protocol.repeated(kept, 1, 9)
    assert (gone.value.status, gone.value.extra) == (410, {"oldest": oldest})
    assert f"after={oldest - 1}" in gone.value.detail
    if kept:
        assert protocol.repeated(kept, oldest - 1, 9)


def test_a_debit_has_its_own_id_for_each_epoch_and_place() -> None:
    stream = uuid.uuid4()
    ids = {debit_id(stream, epoch, first) for epoch in range(1, 12) for first in range(1, 12)}
    assert len(ids) == 11 * 11
    assert debit_id(stream, 1, 1) in ids, "the next holder can name it"
    assert debit_id(uuid.uuid4(), 1, 1) not in ids


def test_a_plan_reads_back_and_large_answers_are_kept_for_fewer_points() -> None:
    setup = StreamSetup.of(Open(LEVEL, None, 4.0, 2), LEVEL, RULES)
    assert StreamSetup.from_json(setup.to_json()) == setup
    assert "smoothed_state" in setup.outputs
    assert setup.replayed(RULES) == 500
    many = ModelSpec.of("structural", {"level": {"var": 1.0}, "obs_var": 1.0, "seasonal": {"period": 24, "var": 1.0}})
    n = many.build().states
    large = StreamSetup.of(Open(many, ("filtered_state_cov",), 4.0, 0), many, RULES)
    assert large.replayed(RULES) == 10_000 // (n * n + 1) < 500


def test_a_refusal_says_when_to_try_again_and_which_message_it_means() -> None:
    words = json.loads(protocol.error(problems.rate_limited(3), sequence=7))
    assert (words["type"], words["sequence"], words["retry_after"]) == ("error", 7, 3)
    assert words["problem"]["type"].endswith("rate-limited")
    assert "retry_after" not in json.loads(protocol.error(problems.suspended()))


def test_messages_are_read_by_their_type() -> None:
    stream = uuid.uuid4()
    assert read_message(json.dumps({"type": "resume", "stream": str(stream), "after": 3})) == Resume(stream, 3)
    points = read_message('{"type": "points", "sequence": 2, "values": [1, null, 2.5]}')
    assert isinstance(points, Points)
    assert read_values(points.values, 1, 10)[[0, 2]].tolist() == [1.0, 2.5]
    assert read_values([[1, None], [2, 3]], 2, 10).shape == (2, 2)
    assert read_values([[1], [None], [2.5]], 1, 10)[[0, 2]].tolist() == [1.0, 2.5], "a column is a series"


@pytest.mark.parametrize(
    ("values", "observed", "pointer"),
    [
        ([True], 1, "/values/0"),
        ([[1.0, 2.0]], 1, "/values/0"),
        ([[1.0], 2.0], 1, "/values/1"),
        ([1.0], 2, "/values/0"),
        ([[1.0, 2.0], [1.0]], 2, "/values/1"),
        ([[1.0, "2"]], 2, "/values/0/1"),
        ([1.0] * 11, 1, "/values"),
    ],
)
def test_values_that_are_no_points_are_pointed_to(values: list[object], observed: int, pointer: str) -> None:
    with pytest.raises(Problem) as wrong:
        read_values(values, observed, 10)
    assert wrong.value.extra["errors"][0]["pointer"] == pointer


def test_a_key_among_the_subprotocols_counts_only_without_a_header() -> None:
    protocols = ["luna.v1", "luna.key.luna_x"]
    assert with_key_of_subprotocol({}, protocols) == {b"authorization": b"Bearer luna_x"}
    assert with_key_of_subprotocol({b"x-api-key": b"k"}, protocols) == {b"x-api-key": b"k"}
    assert with_key_of_subprotocol({}, ["luna.v1"]) == {}

"""The state machine against timelines worked out by hand, and against properties."""

import itertools
import uuid
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luna_serving.capabilities.alerts.rules.holds import Holds
from luna_serving.capabilities.alerts.states.advance import AlertState, Change, Element, State, advance, ended

KEY = b"a"
STEP = 1_000


def run(
    holds: Holds, truth: Sequence[bool], states: Mapping[bytes, AlertState] | None = None, first: int = 0
) -> tuple[list[tuple[str, int]], Mapping[bytes, AlertState]]:
    """The changes of one alert whose condition is `truth` at steps of a second."""
    ids = (uuid.UUID(int=i) for i in itertools.count(1))
    changes: list[tuple[str, int]] = []
    states = states or {}
    for i, is_true in enumerate(truth, first):
        elements = {KEY: Element({"a": "b"}, {}, float(i))} if is_true else {}
        advanced = advance(holds, states, elements, i * STEP, lambda: next(ids))
        states = advanced.states
        changes += [(each.change.value, i) for each in advanced.transitions]
    return changes, states


def bits(text: str) -> list[bool]:
    return [each == "1" for each in text]


@pytest.mark.parametrize(
    ("for_s", "keep_s", "truth", "expected"),
    [
        (0, 0, "0110", [("firing", 1), ("resolved", 3)]),
        # Prometheus fires when the time since activeAt is at least `for`.
        (2, 0, "111100", [("pending", 0), ("firing", 2), ("resolved", 4)]),
        (2, 0, "1101111", [("pending", 0), ("inactive", 2), ("pending", 3), ("firing", 5)]),
        (3, 0, "1110", [("pending", 0), ("inactive", 3)]),
        # keep_firing_for counts from the first false evaluation.
        (0, 2, "10000", [("firing", 0), ("resolved", 3)]),
        (0, 2, "1001000", [("firing", 0), ("resolved", 6)]),
        (0, 1, "1010100", [("firing", 0), ("resolved", 6)]),
        # A pending alert is not kept.
        (2, 5, "110", [("pending", 0), ("inactive", 2)]),
        (1, 2, "1100011", [("pending", 0), ("firing", 1), ("resolved", 4), ("pending", 5), ("firing", 6)]),
    ],
)
def test_timelines_by_hand(for_s: int, keep_s: int, truth: str, expected: list[tuple[str, int]]) -> None:
    assert run(Holds(for_s * STEP, keep_s * STEP), bits(truth))[0] == expected


def test_an_alert_keeps_its_id_and_its_beginning_and_takes_the_newest_value() -> None:
    _, states = run(Holds(STEP, 0), bits("111"))
    alert = states[KEY]
    assert (alert.id, alert.active_at_ms, alert.fired_at_ms, alert.value) == (uuid.UUID(int=1), 0, STEP, 2.0)


def test_another_alert_begins_after_one_has_ended() -> None:
    _, states = run(Holds(0, 0), bits("101"))
    assert states[KEY].id == uuid.UUID(int=2)
    assert states[KEY].active_at_ms == 2 * STEP


def test_an_evaluation_that_comes_late_counts_for_from_the_beginning() -> None:
    _, states = run(Holds(300 * STEP, 0), bits("1"))
    advanced = advance(Holds(300 * STEP, 0), states, {KEY: Element({}, {}, 1.0)}, 900 * STEP, uuid.uuid4)
    assert [each.change for each in advanced.transitions] == [Change.FIRING]


def test_what_is_ended_from_outside_is_resolved_or_inactive() -> None:
    _, pending = run(Holds(9 * STEP, 0), bits("1"))
    _, firing = run(Holds(0, 0), bits("1"))
    assert ended(KEY, pending[KEY], 5).change is Change.INACTIVE
    assert ended(KEY, firing[KEY], 5).change is Change.RESOLVED
    assert ended(KEY, firing[KEY], 5).alert.resolved_at_ms == 5


truths = st.lists(st.booleans(), max_size=40)
holds_of = st.builds(Holds, st.integers(0, 6).map(lambda s: s * STEP), st.integers(0, 6).map(lambda s: s * STEP))


@given(holds_of, truths, st.integers(0, 40))
def test_a_restart_anywhere_changes_nothing(holds: Holds, truth: list[bool], cut: int) -> None:
    whole, after = run(holds, truth)
    first, kept = run(holds, truth[:cut])
    second, again = run(holds, truth[cut:], kept, first=min(cut, len(truth)))
    assert first + second == whole
    strip = {key: (each.state, each.active_at_ms, each.fired_at_ms) for key, each in after.items()}
    assert {key: (each.state, each.active_at_ms, each.fired_at_ms) for key, each in again.items()} == strip


@given(holds_of, truths)
def test_changes_alternate_and_fire_only_after_for(holds: Holds, truth: list[bool]) -> None:
    changes, states = run(holds, truth)
    names = [name for name, _ in changes]
    allowed = {
        "": {"pending", "firing"},
        "pending": {"firing", "inactive"},
        "firing": {"resolved"},
        "resolved": {"pending", "firing"},
        "inactive": {"pending", "firing"},
    }
    for before, after in itertools.pairwise(["", *names]):
        assert after in allowed[before]
    for i, (name, at) in enumerate(changes):
        if name == "firing":
            begin = changes[i - 1][1] if i and changes[i - 1][0] == "pending" else at
            assert (at - begin) * STEP >= holds.for_ms
            assert all(truth[begin : at + 1])
        if name == "resolved":
            quiet = holds.keep_firing_for_ms // STEP
            assert not any(truth[at - quiet : at + 1])
    assert bool(states) is (bool(names) and names[-1] in ("pending", "firing"))
    if states and states[KEY].state is State.PENDING:
        assert holds.for_ms > 0

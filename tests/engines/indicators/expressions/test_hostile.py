"""Hostile expressions: each is refused, points at its fault, and takes no time."""

import time

import pytest
from tests.engines.indicators.expressions import hostile, hostile_characters, hostile_sizes

from luna_serving.engines.indicators.catalogue import CATALOGUE
from luna_serving.engines.indicators.expressions import Fault, parse

HOSTILE = [
    *hostile.ATTRIBUTES,
    *hostile.CODE,
    *hostile.SYNTAX,
    *hostile.MEANING,
    *hostile_characters.LOOKALIKES,
    *hostile_characters.INVISIBLE,
    *hostile_characters.CONTROL,
    *hostile_characters.OTHER,
    *hostile_sizes.NUMBERS,
    *hostile_sizes.PERIODS,
    *hostile_sizes.DEEP,
    *hostile_sizes.LARGE,
]
# The contract's. A refusal takes well below a millisecond; the bound holds on a busy machine, too.
REFUSED_WITHIN_S = 0.05


def unmarked(marked: str) -> tuple[str, int, int]:
    """The text, and the offset and length between the marks."""
    before, rest = marked.split("«")
    inside, after = rest.split("»")
    return before + inside + after, len(before), len(inside)


def test_they_are_at_least_two_hundred_and_differ() -> None:
    assert len({unmarked(marked)[0] for marked, _ in HOSTILE}) == len(HOSTILE) >= 200


@pytest.mark.parametrize(("marked", "part"), HOSTILE, ids=[f"{n:03d}" for n in range(len(HOSTILE))])
def test_a_hostile_expression_is_refused_at_its_place(marked: str, part: str) -> None:
    text, offset, length = unmarked(marked)
    with pytest.raises(Fault) as caught:
        parse(text, CATALOGUE)
    assert (caught.value.offset, caught.value.length) == (offset, length), str(caught.value)
    assert part in str(caught.value)


@pytest.mark.parametrize(("marked", "part"), HOSTILE, ids=[f"{n:03d}" for n in range(len(HOSTILE))])
def test_a_fault_is_short_plain_text_with_a_cure(marked: str, part: str) -> None:
    with pytest.raises(Fault) as caught:
        parse(unmarked(marked)[0], CATALOGUE)
    text = str(caught.value)
    assert text.isascii()
    assert text.isprintable()
    assert len(text) < 400
    assert caught.value.message.endswith(".")
    assert caught.value.cure.endswith(".")


def test_each_is_refused_within_fifty_milliseconds() -> None:
    slowest = 0.0
    for marked, _ in HOSTILE:
        text = unmarked(marked)[0]
        taken = []
        for _ in range(3):  # Another process may have the processor meanwhile.
            begun = time.thread_time()
            with pytest.raises(Fault):
                parse(text, CATALOGUE)
            taken.append(time.thread_time() - begun)
        slowest = max(slowest, min(taken))
    assert slowest < REFUSED_WITHIN_S

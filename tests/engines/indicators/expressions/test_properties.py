"""Properties of all expressions: no look-ahead, exact lookback, one text for one meaning, and no crash on any text."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engines.indicators.expressions.making import parsed, texts, walk

from luna_serving.engines.indicators.catalogue import CATALOGUE
from luna_serving.engines.indicators.expressions import Fault, canonical, evaluate, parse
from luna_serving.engines.indicators.gaps import Gaps

many = settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
BARS = 90
PIECES = [
    *"+-*/().,=<>! \t\n'\"#[]{}:;%^&|~@$\\0123456789e_",
    *("close", "volume", "ema", "macd", "macdsignal", "atr", "where", "lag", "cross_over", "and", "or", "not"),
    *("ema(", "macd(close, 12, 26, 9)", "close > open", "period", "period=", "12", "1e999", "__"),
    *("\u0441", "\u202e", "\x00", "\ud800"),
]


def points_into(fault: Fault, text: str) -> bool:
    return 0 <= fault.offset <= fault.span.end <= len(text) and bool(fault.cure)


@many
@given(texts(), st.integers(0, 1000), st.sampled_from(list(Gaps)), st.sampled_from([0.0, 0.1]), st.integers(1, BARS))
def test_no_value_depends_on_later_bars(text: str, seed: int, gaps: Gaps, missing: float, known: int) -> None:
    expression, bars = parsed(text), walk(BARS, seed, missing)
    then = evaluate(expression, bars[:known], gaps=gaps)
    now = evaluate(expression, bars, gaps=gaps)[:known]
    np.testing.assert_allclose(then, now, rtol=1e-9, atol=1e-9)


@many
@given(texts(), st.integers(0, 1000))
def test_the_first_lookback_bars_are_null_and_no_value_is_infinite(text: str, seed: int) -> None:
    expression, bars = parsed(text), walk(BARS, seed)
    values = evaluate(expression, bars)
    assert values.shape == (BARS,)
    assert values.dtype == np.float64
    assert not np.isinf(values).any()
    assert np.isnan(values[: expression.lookback]).all()


@many
@given(texts())
def test_the_canonical_text_means_the_same_and_is_its_own(text: str) -> None:
    expression = parsed(text)
    formatted = canonical(expression)
    assert parsed(formatted) == expression
    assert canonical(parsed(formatted)) == formatted


@many
@given(texts(), st.integers(0, 1000))
def test_the_canonical_text_has_the_same_values(text: str, seed: int) -> None:
    expression, bars = parsed(text), walk(BARS, seed, 0.05)
    np.testing.assert_array_equal(evaluate(expression, bars), evaluate(parsed(canonical(expression)), bars))


@many
@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=40).map("".join)))
def test_any_text_parses_or_is_a_fault_that_points_into_it(text: str) -> None:
    try:
        expression = parse(text, CATALOGUE)
    except Fault as fault:
        assert points_into(fault, text)  # noqa: PT017 - most texts are faults, some are not
    else:
        assert parsed(canonical(expression)) == expression


@many
@given(texts(), st.integers(0, 200), st.sampled_from(PIECES), st.integers(0, 5))
def test_a_valid_text_with_one_edit_parses_or_is_a_fault(text: str, place: int, piece: str, removed: int) -> None:
    place = min(place, len(text))
    edited = text[:place] + piece + text[place + removed :]
    try:
        parse(edited, CATALOGUE)
    except Fault as fault:
        assert points_into(fault, edited)  # noqa: PT017 - most texts are faults, some are not


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_indicator_can_be_called_in_an_expression_unless_it_needs_columns_of_two_instruments(name: str) -> None:
    indicator = CATALOGUE[name]
    free = len(indicator.inputs) == 1
    series = ["close", "open"][: 1 + indicator.needs_benchmark] if free else []
    text = f"{name}({', '.join(series)})" + (f".{indicator.outputs[0]}" if len(indicator.outputs) > 1 else "")
    if indicator.needs_benchmark and not free:
        with pytest.raises(Fault, match="compares two instruments"):
            parsed(text)
    else:
        expression = parsed(text)
        assert expression.stability is indicator.stability
        assert canonical(parsed(canonical(expression))) == canonical(expression)

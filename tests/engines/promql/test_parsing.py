"""Errors of the grammar with their places, and the grammar against another one."""

import promql_parser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luna_serving.engines.promql.api import (
    LimitExceeded,
    Matcher,
    MatchOperator,
    ParseError,
    ParseLimits,
    PromqlError,
    UnsupportedError,
    parse,
    parse_selector,
)

DURATION = "number, duration, step(), or range()"
NUMBERS = "scalar or instant vector"
SELECTORS = "an instant vector selector or range vector selector or a subquery"


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", "1:1", "no expression found in input"),
        ("foo +", "1:6", "unexpected end of input"),
        ("foo bar", "1:5", 'unexpected identifier "bar"'),
        ("sum(foo bar)", "1:9", 'unexpected identifier "bar" in aggregation'),
        ("foo{a=}", "1:7", 'unexpected "}" in label matching, expected string'),
        ("foo{a}", "1:6", 'unexpected "}" in label matching, expected label matching operator'),
        ("foo[5m", "1:7", "unclosed left bracket"),
        ("(foo", "1:5", "unclosed left parenthesis"),
        ("foo)", "1:5", "unexpected right parenthesis ')'"),
        ("foo[5m]]", "1:8", "unexpected right bracket ']'"),
        ("foo\n  offset x", "2:10", f'unexpected identifier "x" in offset, expected {DURATION}'),
        ("foo @ bar", "1:7", 'unexpected identifier "bar" in @, expected timestamp'),
        ("sum by foo (bar)", "1:8", 'unexpected identifier "foo" in grouping opts, expected "("'),
        ('"a', "1:1", "unterminated quoted string"),
        (r'"\q"', "1:1", "unknown escape sequence U+0071 'q'"),
        ("1..2", "1:1", 'bad number or duration syntax: "1.."'),
        ("rate(foo)", "1:6", 'expected type range vector in call to function "rate", got instant vector'),
        ("abs(1)", "1:5", 'expected type instant vector in call to function "abs", got scalar'),
        ("sum(1)", "1:5", "expected type instant vector in aggregation expression, got scalar"),
        ("topk(foo, foo)", "1:6", "expected type scalar in aggregation parameter, got instant vector"),
        ("topk(foo)", "1:1", "wrong number of arguments for aggregate expression provided, expected 2, got 1"),
        ("abs()", "1:1", 'expected 1 argument(s) in call to "abs", got 0'),
        ("label_join(foo, 'a')", "1:1", 'expected at least 3 argument(s) in call to "label_join", got 2'),
        ("1 == 1", "1:3", "comparisons between scalars must use BOOL modifier"),
        ("foo + bool bar", "1:5", "bool modifier can only be used on comparison operators"),
        ("foo and 1", "1:1", 'set operator "and" not allowed in binary scalar expression'),
        ("a and on (x) group_left () b", "1:1", 'no grouping allowed for "and" operation'),
        ("a + on (x) group_left (x) b", "1:3", 'label "x" must not occur in ON and GROUP clause at once'),
        ("1 + on (a) foo", "1:1", "vector matching only allowed between instant vectors"),
        ("foo[5m] + 1", "1:1", "binary expression must contain only scalar and instant vector types"),
        ("-foo[5m]", "1:1", f'unary expression only allowed on expressions of type {NUMBERS}, got "range vector"'),
        ("1[5m:]", "1:1", "subquery is only allowed on instant vector, got scalar instead"),
        ("sum(foo)[5m]", "1:9", "ranges only allowed for vector selectors"),
        ("foo[0s]", "1:5", "duration must be greater than 0"),
        ("foo offset 1m offset 1m", "1:1", "offset may not be set multiple times"),
        ("(foo + bar) offset 1m", "1:1", f"offset modifier must be preceded by {SELECTORS}"),
        ("{}", "1:1", "vector selector must contain at least one non-empty matcher"),
        ('foo{__name__="bar"}', "1:1", 'metric name must not be set twice: "foo" or "bar"'),
        ("nothing(foo)", "1:1", 'unknown function with name "nothing"'),
        ('foo{a=~"(?=x)"}', "1:5", "error parsing regexp: invalid or unsupported Perl syntax: `(?=`"),
    ],
)  # fmt: skip
def test_a_fault_is_reported_where_it_is(text: str, place: str, message: str) -> None:
    with pytest.raises(ParseError) as fault:
        parse(text)
    assert str(fault.value) == f"{place}: parse error: {message}"
    assert fault.value.position is not None
    assert not isinstance(fault.value, UnsupportedError)


@pytest.mark.parametrize(
    "text",
    [
        "limitk(1, foo)", "info(foo)", "sort_by_label(foo, 'a')", "mad_over_time(foo[5m])", "foo[5m] anchored",
        "foo smoothed", "a + fill (0) b", "foo[5m * 2]", "foo offset step()", "histogram_sum(foo)", "start()",
    ],
)  # fmt: skip
def test_experimental_and_native_parts_are_refused_as_such(text: str) -> None:
    with pytest.raises(UnsupportedError) as refused:
        parse(text)
    assert refused.value.position is not None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("foo offset -(5m)", "vector"),
        ("sum", "vector"),
        ("by + offset", "vector"),
        ("sum by (on, bool) (foo)", "vector"),
        ("foo[300] offset 1.5", "matrix"),
        ("1_000 + 0x1F + .5e1", "scalar"),
        ('{__name__=~"a", "b c"!="d",}', "vector"),
        ("foo # a comment\n + bar", "vector"),
        ("`raw \\n`", "string"),
        ("SUM(foo) BY (a)", "vector"),
        ("foo[5m:1m] @ end() offset 1m", "matrix"),
        ("fill + fill_left", "vector"),
    ],
)
def test_what_prometheus_accepts_is_accepted(text: str, kind: str) -> None:
    assert parse(text).type == kind


def test_long_and_deep_queries_are_refused() -> None:
    with pytest.raises(LimitExceeded, match="characters") as long:
        parse("x" * 101, limits=ParseLimits(length=100))
    assert (long.value.limit, long.value.allowed) == ("length", 100)
    with pytest.raises(LimitExceeded, match="levels deep"):
        parse("(" * 200 + "x" + ")" * 200)
    with pytest.raises(LimitExceeded, match="levels deep"):
        parse("-" * 5000 + "x")
    with pytest.raises(LimitExceeded, match="levels of operators and calls"):
        parse("+".join(["x"] * 8000))
    with pytest.raises(ParseError, match="timestamp out of bounds"):
        parse("x @ 9e15")
    assert parse("+".join(["x"] * 150)).type == "vector"


def test_a_selector_alone() -> None:
    assert parse_selector('x{a!~"b"}') == (
        Matcher("a", MatchOperator.NOT_REGEX, "b"),
        Matcher("__name__", MatchOperator.EQUAL, "x"),
    )
    for text in ("x offset 5m", "x[5m]", "sum(x)", "x @ 3"):
        with pytest.raises(ParseError):
            parse_selector(text)


WORDS = [
    "foo", "bar", "sum", "rate", "abs", "by", "without", "on", "ignoring", "group_left", "bool", "offset", "and", "or",
    "(", ")", "{", "}", "[", "]", ",", "+", "-", "*", "^", "==", ">", "=", "=~", "!=", "5m", "1", "2.5", '"x"', "a",
    ":", "topk", "time",
]  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=9))
@settings(max_examples=500, deadline=None)
def test_the_grammar_accepts_what_another_parser_accepts(words: list[str]) -> None:
    """promql-parser follows Prometheus 2.45; texts with words in which it is known to differ are left out."""
    text = " ".join(words)
    try:
        promql_parser.parse(text)
        theirs = True
    except ValueError:
        theirs = False
    try:
        parse(text)
        ours = True
    except PromqlError:
        ours = False
    known = any(word in words for word in ("or", '"x"', "[", "=~", "offset"))
    assert known or ours == theirs, text


@given(st.text(alphabet="ax1.5m(){}[]\"'\\`,+-*/^%@:=~!<> \n#é_eE", max_size=25))
@settings(max_examples=500, deadline=None)
def test_no_text_raises_anything_else(text: str) -> None:
    place = None
    try:
        parse(text)
    except PromqlError as fault:
        place = fault.position
    assert place is None or 0 <= place.offset <= len(text)

"""The scripts cover the whole stable language of Prometheus 3.14."""

import re

import pytest
from tests.engines.promql.test_scripts import EVALUATIONS

FUNCTIONS = re.findall(
    r"\w+",
    """
    abs absent absent_over_time acos acosh asin asinh atan atanh avg_over_time ceil changes clamp clamp_max
    clamp_min cos cosh count_over_time day_of_month day_of_week day_of_year days_in_month deg delta deriv exp
    first_over_time floor histogram_fraction histogram_quantile hour idelta increase irate label_join label_replace
    last_over_time ln log10 log2 max_over_time min_over_time minute month pi predict_linear present_over_time
    quantile_over_time rad rate resets round scalar sgn sin sinh sort sort_desc sqrt stddev_over_time
    stdvar_over_time sum_over_time tan tanh time timestamp vector year
    """,
)
AGGREGATIONS = re.findall(
    r"\w+",
    """
    avg bottomk count count_values group max min quantile stddev stdvar sum topk
    """,
)
SYMBOLS = ["+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<="]
WORDS = re.findall(
    r"\w+",
    """
    atan2 and or unless bool by without on ignoring group_left group_right offset
    """,
)
EXPERIMENTAL_FUNCTIONS = re.findall(
    r"\w+",
    """
    double_exponential_smoothing histogram_quantiles info mad_over_time max_of min_of range sort_by_label
    sort_by_label_desc start_timestamp step ts_of_first_over_time ts_of_last_over_time ts_of_max_over_time
    ts_of_min_over_time
    """,
)

# Texts are removed: a word in a label's value is no use of it.
_TEXT = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`")
_SELECTOR = re.compile(r"\{[^}]*\}")
QUERIES = [_SELECTOR.sub("", _TEXT.sub("", evaluation.query)) for evaluation in EVALUATIONS]


def occurs(pattern: str) -> bool:
    return any(re.search(pattern, query) for query in QUERIES)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_occurs(name: str) -> None:
    assert occurs(rf"\b{name}\(")


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_an_aggregation_occurs_alone_and_by_group(name: str) -> None:
    assert occurs(rf"\b{name} ?\(")
    assert occurs(rf"\b{name} (?:by|without) \(")


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_an_operator_occurs(symbol: str) -> None:
    assert occurs(rf" {re.escape(symbol)} ")


@pytest.mark.parametrize("word", WORDS)
def test_a_word_of_the_language_occurs(word: str) -> None:
    assert occurs(rf"\b{word}\b")


@pytest.mark.parametrize(
    "pattern", [r" offset -", r"@ \d", r"@ start\(\)", r"@ end\(\)", r"\[\w+\]", r"\[\w+:\]", r"\[\w+:\w+\]"]
)
def test_a_form_of_selector_occurs(pattern: str) -> None:
    assert occurs(pattern)


@pytest.mark.parametrize("operator", ["=", "!=", "=~", "!~"])
def test_a_matcher_occurs(operator: str) -> None:
    assert any(re.search(rf"\w{operator}\"", evaluation.query) for evaluation in EVALUATIONS)


@pytest.mark.parametrize("word", ["fail", "warn", "info"])
def test_failures_and_notes_are_expected_somewhere(word: str) -> None:
    assert any(word in evaluation.notes for evaluation in EVALUATIONS)


def test_no_experimental_function_occurs() -> None:
    assert [name for name in EXPERIMENTAL_FUNCTIONS if occurs(rf"\b{name}\(")] == []

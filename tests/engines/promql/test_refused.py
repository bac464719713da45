"""Queries that are no PromQL, or not of the stable language, are refused with the place of the fault."""

from pathlib import Path

import pytest

from luna_serving.engines.promql import api
from luna_serving.engines.promql.errors import ParseError, UnsupportedError

TEXT = Path(__file__).with_name("refused.txt").read_text()
BLOCKS = [block.split("\n") for block in TEXT.strip().split("\n\n")[1:]]
REFUSED = [(query, *fault.strip().split(" ", 1)) for query, fault in BLOCKS]


@pytest.mark.parametrize(("query", "place", "words"), REFUSED, ids=[query for query, *_ in REFUSED])
def test_a_refused_query_names_the_fault_and_its_place(query: str, place: str, words: str) -> None:
    with pytest.raises(ParseError) as refused:
        api.parse(query)
    assert words in refused.value.message
    assert str(refused.value.position) == place


@pytest.mark.parametrize("name", ["avg", "count", "stddev", "stdvar", "sum"])
def test_functions_of_native_histograms_are_refused(name: str) -> None:
    with pytest.raises(UnsupportedError, match="native histograms") as refused:
        api.parse(f"1 + histogram_{name}(a)")
    assert str(refused.value.position) == "1:5"


@pytest.mark.parametrize("query", ["a # a comment", 'a{b="c"} # a comment with {', "a\n+\n# between\nb", "{'a', 'b'}"])
def test_comments_and_quoted_names_are_accepted(query: str) -> None:
    assert api.parse(query).type == "vector"


def test_a_fault_on_a_later_line_has_the_number_of_the_line() -> None:
    with pytest.raises(ParseError) as refused:
        api.parse("sum(\n  a +\n  )")
    assert str(refused.value.position) == "3:3"

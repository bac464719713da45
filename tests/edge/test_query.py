"""Unknown query parameters: the error names what the route takes, in the same words in each process."""

import pytest

from luna_serving.edge.query import MAX_LISTED, refuse_unknown
from luna_serving.wire.problems import Problem


def refused(name: str, known: object) -> str:
    with pytest.raises(Problem) as problem:
        refuse_unknown([name], known)  # type: ignore[arg-type]
    (error,) = problem.value.extra["errors"]
    assert error["pointer"] == f"/query/{name}"
    return str(error["detail"]).removeprefix("Is no query parameter of this route. ")


def test_few_names_are_listed_in_the_order_of_the_route_and_sets_in_that_of_letters() -> None:
    assert refused("limt", ("limit", "cursor")) == "Use limit, cursor."
    assert refused("limt", frozenset({"limit", "cursor"})) == "Use cursor, limit."
    assert refused("limt", ()) == "This route takes none; leave it out."


@pytest.mark.parametrize(
    ("name", "cure"),
    [("perod", "Perhaps period? /docs lists all."), ("?", "/docs lists those that it takes.")],
)
def test_of_many_names_the_most_similar_one_is_told(name: str, cure: str) -> None:
    assert refused(name, {"period", *(f"value_{i}" for i in range(MAX_LISTED))}) == cure

"""Which route a path belongs to."""

from dataclasses import dataclass

import pytest

from luna_serving.edge.paths import ACCOUNT_PATH
from luna_serving.edge.route_table import RouteTable
from luna_serving.wire.problems import Problem


@dataclass(frozen=True)
class Route:
    method: str
    path: str


TABLE = RouteTable(
    [
        Route("POST", "kalman"),
        Route("GET", "indicators/{name}"),
        Route("POST", "indicators/{name}"),
        Route("GET", "indicators/list"),
        Route("GET", "indicators/list/{page}/of"),
        Route("GET", "prices/{symbol}/{day}"),
        Route("DELETE", "prices/{symbol}/all"),
    ]
)


@pytest.mark.parametrize(
    ("path", "template", "values"),
    [
        ("kalman", "kalman", {}),
        ("indicators/rsi", "indicators/{name}", {"name": "rsi"}),
        ("indicators/list", "indicators/list", {}),
        ("indicators/list/7/of", "indicators/list/{page}/of", {"page": "7"}),
        ("prices/A B/2026", "prices/{symbol}/{day}", {"symbol": "A B", "day": "2026"}),
        ("prices/X/all", "prices/{symbol}/all", {"symbol": "X"}),
    ],
)
def test_a_path_finds_the_most_particular_route_and_its_values(
    path: str, template: str, values: dict[str, str]
) -> None:
    found = TABLE.find(path)
    assert found is not None
    assert (found[0].path, dict(found[1])) == (template, values)


@pytest.mark.parametrize("path", ["", "kalman/", "kalman/filter", "indicators/", "indicators", "indicators/a/b", "/"])
def test_another_path_finds_nothing(path: str) -> None:
    assert TABLE.find(path) is None


def test_a_fixed_segment_that_leads_nowhere_gives_way_to_a_parameter() -> None:
    table = RouteTable([Route("GET", "a/b/c"), Route("GET", "a/{x}/d")])
    found = table.find("a/b/d")
    assert found is not None
    assert (found[0].path, dict(found[1])) == ("a/{x}/d", {"x": "b"})


def test_another_method_is_refused_with_those_that_are_taken() -> None:
    found = TABLE.find("indicators/rsi")
    assert found is not None
    assert found[0].taking("HEAD") == found[0].taking("GET") == Route("GET", "indicators/{name}")
    with pytest.raises(Problem) as refused:
        found[0].taking("PUT")
    assert (refused.value.status, refused.value.headers["Allow"]) == (405, "GET, HEAD, POST")


@pytest.mark.parametrize(
    "routes",
    [
        [Route("GET", "a"), Route("GET", "a")],
        [Route("GET", "a/{x}"), Route("POST", "a/{y}")],
        [Route("GET", "7/a")],
        [Route("GET", "{x}/a")],
        [Route("GET", "")],
    ],
)
def test_routes_that_cannot_be_told_apart_are_refused_at_the_start(routes: list[Route]) -> None:
    with pytest.raises(ValueError, match=r"served twice|calls \{|begin with a word"):
        RouteTable(routes)


@pytest.mark.parametrize(
    ("path", "account", "rest"),
    [
        ("/api/v1/12/kalman", "12", "kalman"),
        ("/api/v1/kalman", None, "kalman"),
        ("/api/v1/kalman/filter", None, "kalman/filter"),
        ("/api/v1/12/indicators/34", "12", "indicators/34"),
        ("/api/v1/12", None, "12"),
        ("/api/v1/99999999999/kalman", None, "99999999999/kalman"),
        ("/api/v1/\u0663/kalman", None, "\u0663/kalman"),
    ],
)
def test_digits_alone_are_an_account_in_a_path(path: str, account: str | None, rest: str) -> None:
    match = ACCOUNT_PATH.fullmatch(path)
    assert match is not None
    assert (match[1], match[2]) == (account, rest)

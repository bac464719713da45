"""Published values, to their printed digits, through HTTP."""

from typing import Any

import pytest
from tests.capabilities.blackscholes.served import ROUTE, serving
from tests.store.stores import Store

from luna_serving.capabilities.blackscholes.replica import BlackScholesReplica

HULL = {"spot": 42, "strike": 40, "rate": 0.1, "volatility": 0.2, "expiry": 0.5}
HAUG = {"spot": 100, "strike": 100, "rate": 0.05, "dividend_yield": 0.02, "volatility": 0.2, "expiry": 1.0}
DEEP = {"spot": 100, "strike": 400, "volatility": 0.15, "expiry": 0.1}
AMERICAN = {"spot": 100, "strike": 100, "rate": 0.05, "volatility": 0.25, "expiry": 1.0}


@pytest.mark.parametrize(
    ("options", "style", "output", "printed"),
    [
        (HULL | {"type": "call"}, "european", "price", "4.75942239287"),
        (HULL | {"type": "put"}, "european", "price", "0.80859937290"),
        (HAUG | {"type": "call"}, "european", "price", "9.22700550815"),
        (HAUG | {"type": "put"}, "european", "price", "6.33008062755"),
        (HAUG | {"type": "call"}, "european", "gamma", "0.018950578755009"),
        (HAUG | {"type": "call"}, "european", "vega", "37.901157510017"),
        (HAUG | {"type": "call"}, "european", "theta", "-5.0893189139983"),
        (HAUG | {"type": "put"}, "european", "theta", "-2.2935691381083"),
        (HAUG | {"type": "call"}, "european", "vanna", "-0.094752893775044"),
        (HAUG | {"type": "call"}, "european", "volga", "2.3688223443761"),
        (HAUG | {"type": "call"}, "european", "speed", "-0.0004263880219877"),
        (HAUG | {"type": "call"}, "european", "zomma", "-0.093568482602856"),
        (HAUG | {"type": "call"}, "european", "ultima", "-73.285441279135"),
        (DEEP | {"type": "call"}, "european", "price", "1.48252375139e-188"),
        # The page has 7.97448235, as QuantLib: the tests' reference has 7.974482342265 with 24, 32, 40 and 48 nodes.
        (AMERICAN | {"type": "put"}, "american", "price", "7.97448234"),
        (AMERICAN | {"type": "put", "dividend_yield": 0.05}, "american", "price", "9.56944530"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_published_value_is_met_to_its_digits(
    store: Store, replica: BlackScholesReplica, options: dict[str, Any], style: str, output: str, printed: str
) -> None:
    caller = await store.account()
    async with serving(store, caller, replica) as served:
        answer = await served.client.post(ROUTE, json={"options": options, "style": style, "outputs": [output]})
    assert answer.status_code == 200, answer.text
    (value,) = answer.json()["results"][output]
    digits, _, exponent = printed.partition("e")
    last = 10.0 ** (-len(digits.partition(".")[2]) + int(exponent or 0))
    # Half a unit of the last printed digit, and what its own rounding may be worth.
    assert abs(value - float(printed)) <= 0.51 * last

"""Draw the smile of a chain of options: implied volatilities of calls by their strike.

    python examples/blackscholes.py

Needs httpx. The prices are those of Merton's jump-diffusion, whose smile they show.
"""

import math

import httpx
from connection import connection

SPOT, RATE, YEARS = 100.0, 0.08, 0.25
STRIKES = [80.0, 85.0, 90.0, 95.0, 100.0, 105.0, 110.0, 115.0, 120.0]
# Merton (1976): five jumps a year, which carry a quarter of the variance.
VOLATILITY, JUMPS, SHARE = 0.25, 5.0, 0.25


def jump_terms(most: int = 20) -> list[tuple[float, float]]:
    """Probability of n jumps, and the volatility given that many."""
    expected = JUMPS * YEARS
    of_jump = SHARE * VOLATILITY**2 / JUMPS
    diffusion = VOLATILITY**2 - JUMPS * of_jump
    weights = [math.exp(-expected) * expected**n / math.factorial(n) for n in range(most)]
    return [(weight, math.sqrt(diffusion + n * of_jump / YEARS)) for n, weight in enumerate(weights)]


def main() -> None:
    """Print the smile."""
    url, headers = connection()
    common = {"type": "call", "spot": SPOT, "rate": RATE, "expiry": YEARS}
    terms = jump_terms()
    with httpx.Client(base_url=url, headers=headers, timeout=30) as client:

        def evaluated(options: dict[str, object]) -> dict[str, list[float]]:
            answer = client.post("/blackscholes", json={"options": common | options})
            answer.raise_for_status()
            return answer.json()["results"]

        rows = [(strike, volatility) for strike in STRIKES for _, volatility in terms]
        given = {"strike": [row[0] for row in rows], "volatility": [row[1] for row in rows]}
        parts = iter(evaluated(given)["price"])
        prices = [sum(weight * next(parts) for weight, _ in terms) for _ in STRIKES]
        smile = evaluated({"strike": STRIKES, "price": prices})["implied_volatility"]
    print("strike   price  implied volatility")
    for strike, price, volatility in zip(STRIKES, prices, smile, strict=True):
        print(f"{strike:6.0f} {price:7.3f}  {volatility:.4f} {'#' * round(200 * volatility - 30)}")


if __name__ == "__main__":
    main()

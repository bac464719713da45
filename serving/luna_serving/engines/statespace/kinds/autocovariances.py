"""Autocovariances of an autoregression, and whether it is stationary, by Levinson and Durbin's recursion in balls.

The recursion backwards, from the coefficients of order p to those of order p - 1, gives the partial autocorrelations;
an autoregression is stationary where all of them are below 1 in size (Barndorff-Nielsen & Schou 1973; Monahan 1984).
A computed root is no judge of that: of a double root float64 has 8 digits.
"""

from typing import Final

from flint import arb

BITS: Final = 256
# Where even these do not decide, a root lies on the circle.
LARGEST_BITS: Final = 1 << 13


def autocovariances(phi: list[arb], count: int) -> list[arb] | None:
    """Those of lags 0 to count - 1 of phi(L) u[t] = e[t] with Var e = 1.

    Args:
        phi: 1, -phi_1, -phi_2, ..., with the last one not zero.
        count: at least 1.

    Returns:
        None where the precision at hand does not show that u is stationary.
    """
    orders = _orders(phi)
    if orders is None or any(not left > 0 for _, left in orders):
        return None
    variance = arb(1)
    for _, left in orders:
        variance /= left
    found = [variance]
    # Of each order only the terms that are not zero.
    terms = [[(j, each) for j, each in enumerate(order) if j and not each.is_zero()] for order, _ in reversed(orders)]
    for lag in range(1, count):
        total = arb(0)
        for j, each in terms[min(lag, len(terms)) - 1] if terms else ():
            total -= each * found[lag - j]
        found.append(total)
    return found


def is_stationary(phi: list[arb]) -> bool | None:
    """Whether all roots of z^p phi(1/z) lie inside the circle; None where the precision at hand does not show it."""
    orders = _orders(phi)
    if orders is None:
        return None
    return all(left > 0 for _, left in orders)


def _orders(phi: list[arb]) -> list[tuple[list[arb], arb]] | None:
    """The polynomials of order p, p - 1, ..., 1, each with 1 - its partial autocorrelation squared.

    Ends at the first of which that is not positive. None where the sign of one is not known.
    """
    orders = []
    while len(phi) > 1:
        partial = phi[-1]
        if partial.is_zero():
            orders.append((phi, arb(1)))
            phi = phi[:-1]
            continue
        left = 1 - partial * partial
        orders.append((phi, left))
        if not left > 0:
            return orders if left <= 0 else None
        phi = [
            phi[0],
            *(
                (each - partial * other) / left if each or other else each
                for each, other in zip(phi[1:-1], phi[-2:0:-1], strict=True)
            ),
        ]
    return orders

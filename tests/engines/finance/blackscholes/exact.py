"""The Black-Scholes formula in many digits (mpmath): the reference of all tests."""

import mpmath as mp

DIGITS = 60


def price(w: float, u: object, k: object, r: object, q: object, t: object, sigma: object) -> mp.mpf:
    """The price; every argument a float or an mpf."""
    u, k, r, q, t, sigma = map(mp.mpf, (u, k, r, q, t, sigma))
    s = sigma * mp.sqrt(t)
    d1 = (mp.log(u / k) + (r - q) * t) / s + s / 2
    return w * (u * mp.exp(-q * t) * mp.ncdf(w * d1) - k * mp.exp(-r * t) * mp.ncdf(w * (d1 - s)))


def normalised(x: float, s: float) -> mp.mpf:
    """b(x, s)."""
    x, s = mp.mpf(x), mp.mpf(s)
    return mp.exp(x / 2) * mp.ncdf(x / s + s / 2) - mp.exp(-x / 2) * mp.ncdf(x / s - s / 2)


def implied(beta: float, x: float, guess: float) -> tuple[mp.mpf, mp.mpf]:
    """The exact s of a normalised price, and its condition number: of s by ln b."""
    s = mp.mpf(guess)
    for _ in range(6):
        b = normalised(x, s)
        slope = mp.npdf(mp.mpf(x) / s) * mp.exp(-s * s / 8)
        change = mp.log(mp.mpf(beta) / b) * b / slope
        s += change
        if abs(change) < s * mp.mpf(10) ** -40:
            break
    return s, normalised(x, s) / (slope * s)

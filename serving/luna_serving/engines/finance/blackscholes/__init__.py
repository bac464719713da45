"""European and American options in the Black-Scholes model: prices, Greeks, implied volatility; the mathematics only.

`european` and `implied` are elementwise JAX functions of columns, accurate in relative terms down to the smallest
numbers of float64; `american` solves for exercise boundaries. `batch` compiles them for a ladder of sizes. Rows that
have no answer get a code of `rows`. No dates, no JSON: a time is a number of years.
"""

"""Fast ways through the mean recursion, each for a case in which much of the general filter is not needed.

`choose` says which plan runs which series. `shared_gain_batch`, `long` and `per_series_batch` translate series and
models into the arrays of the pure functions next to them: gains, observations and starts in, means out. The engine's
filter runs the diffuse periods and hands over its gains, or its moments.
"""

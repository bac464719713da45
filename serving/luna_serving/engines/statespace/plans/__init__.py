"""Fast ways through the mean recursion, each for a case in which much of the general filter is not needed.

`choose` says which plan runs which series. `together`, `long` and `lanes` take series of models as the engine has them
to the pure functions over arrays beside them: gains, observations and starts in, means out. The engine's filter runs
what is diffuse and hands over its gains, or its moments.
"""

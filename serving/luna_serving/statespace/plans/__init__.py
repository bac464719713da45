"""Fast ways through the mean recursion on a CPU, each for a case in which much of the general filter is not needed.

Here belong pure functions over arrays: gains, observations and starts in, means out. Which plan a request takes,
models, packing of ragged series and exact diffuse starts do not: the engine's filter runs the diffuse periods and
hands over its gains, or its moments.
"""

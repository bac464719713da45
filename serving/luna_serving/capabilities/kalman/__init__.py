"""The Kalman capability: filter, smoother, forecast, simulation and fit of state-space models over HTTP.

Rooms: `store`, `jobs`, `wire`, and a folder for each of `models` (named models), `fits`, `simulations` and `streams`.
`routes` and `replica` put them together, in the ingress and in a compute process.
"""

"""The Kalman capability: filter, smoother, forecast, simulation and fit of state-space models over HTTP.

Rooms: `store`, `jobs`, `wire`, and a folder for each of `models` (named models), `fits`, `simulations` and `streams`.
`routes` combines them in the ingress, `replica` in a compute process.
"""

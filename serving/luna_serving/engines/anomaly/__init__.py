"""Models of single series that say how surprising a sample is: learning, scores, bands, forecasts, alarm thresholds.

Rooms, each importing only those before it: `panel`, series side by side as arrays; `season` and `kalman`, the two
parts of a model as formulas; `tails`, how often noise exceeds a score; `shifts`, evidence of several samples; `model`,
what is learnt and the running state; `running` (with `lanes`), scores of further samples; `learning` (with
`season_fit`), from a history to a model, and `memory` of it; `alarms`; `causal`, models and scores along a history
without look-ahead; `crossing`; `functions`, what PromQL has, and `extensions`, how. Callers import `api` and
`extensions` only.

NumPy only: shards and workers that hold no JAX run it. Rules, storage and PromQL belong to capabilities.
"""

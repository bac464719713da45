"""Technical indicators over stored prices and inline bars: routes, cache, replicas, custom indicators.

The formulas are in `luna_serving.engines.indicators`, the prices come through `luna_serving.prices`.
"""

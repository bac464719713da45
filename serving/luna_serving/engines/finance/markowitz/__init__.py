"""Portfolios: efficient frontiers, risk parity, tail risk, and the estimates that they start from. numpy and scipy.

A solution comes with the proof that it is optimal: its residual in the conditions of Karush, Kuhn and Tucker, and the
price of each constraint that binds. `critical_line` has bounds only and is exact; `general` takes Clarabel's solution
and polishes it. `conflicts` explains why there is none. Nothing here knows names of assets, JSON or time.
"""

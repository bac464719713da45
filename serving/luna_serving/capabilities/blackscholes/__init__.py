"""Prices, Greeks and implied volatilities of options: `POST /blackscholes`, and the job kind of that name.

Belongs here: reading and checking columns of options, rendering answers, the replica, the job, its report. The
mathematics belongs to `engines.finance.blackscholes`; simulated prices and portfolios are capabilities of their own.
"""

"""Portfolios: `POST /markowitz`, the job of the same name, and what computes them.

The mathematics is in `engines/finance/markowitz`; here are the body, the answer, the errors, and where data come from.
"""

"""Estimates of expected returns and covariances from returns."""

"""The Kalman filter and smoother in 512-bit arithmetic: the plan that runs where float64 has too few digits.

It belongs here what computes moments in `flint.arb_mat`, and how its answers become those of the other plans. Which
series need it is decided in `soundness`.
"""

"""The linear Gaussian state-space model: its matrices, its start, its checks, and what of it is observed."""

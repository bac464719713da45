"""Finance models as pure functions: option prices, simulated paths, portfolios.

A folder per model. They take arrays and numbers, randomness as a seed; they know no HTTP, no job and no store. Each has
an `api/`, the only part that capabilities import, and a `warm_up` that compiles, for a ladder of sizes, every program
that live calls run. The replica of a capability (`capabilities/<name>/replica.py`) calls it before it is ready, in
whatever process hosts it: `LUNA_HOSTS` may put all numeric engines into one, so nothing here is kept in module state
but compiled programs, and JAX's settings are `configure_jax`'s alone.
"""

"""JAX is strict in tests: nothing is broadcast or converted that was not meant to be."""

import jax

# At import, and for the whole run: flags are part of the key under which JAX keeps compiled programs.
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

"""What a process sets once: JAX's configuration, flint's precision; and the clock of a calculation with a deadline."""

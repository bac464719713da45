"""What capabilities import: names and codes without JAX (`names`), and the computation (`compute`)."""

"""The fixed-interval smoother: the backward pass over a chunk (`chunk`), its diffuse phase, and lost digits."""

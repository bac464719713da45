"""The fixed-interval smoother: the backward pass over a chunk (`chunk`), and its diffuse phase."""

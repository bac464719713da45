"""What the Monte Carlo engine offers to capabilities, which import nothing else of it.

`description` makes and checks problems, and says what they cost; it computes no path. `compute` computes blocks.
"""

"""What is kept of blocks, and how it is joined: the same bits in whatever order blocks were computed."""

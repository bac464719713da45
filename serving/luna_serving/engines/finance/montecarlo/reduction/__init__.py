"""What is kept of blocks, and how it is joined: the same bits in whatever order and however often blocks were computed."""

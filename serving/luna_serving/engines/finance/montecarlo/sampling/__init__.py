"""Random numbers of a block: a pure function of the seed and the block's number."""

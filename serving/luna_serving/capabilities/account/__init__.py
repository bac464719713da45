"""An account as its owner sees it: itself, its usage, and tokens for its keys."""

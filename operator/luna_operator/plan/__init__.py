"""Decides what to do about an account: pure functions of an observation. No I/O, no clock; `now` is an argument."""

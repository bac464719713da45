"""What to do about an account: pure functions of what was observed. No I/O, no clock; `now` is an argument."""

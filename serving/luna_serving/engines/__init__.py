"""Pure numerical engines: no I/O, no Ray, no pydantic. Time, randomness and parameters are arguments."""

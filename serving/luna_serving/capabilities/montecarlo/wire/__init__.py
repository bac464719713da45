"""From a request's bytes to a problem that the engine can run, with errors that point to members of the body."""

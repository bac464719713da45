"""Why the engine has no answer to a call, where the model itself is sound; the message says what to do. No JAX."""


class PlanError(ValueError):
    """A forced plan that does not fit the call."""


class Unanswered(Exception):
    """No plan can answer these series, not even in multi-precision."""

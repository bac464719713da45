"""The exception for denied calls, with the standing for their headers."""

from luna_serving.wire.problems import Problem
from luna_store.quota.debits import Standing


class Denied(Exception):
    """An authenticated caller is denied. The edge renders `problem` with the RateLimit headers of `standing`."""

    def __init__(self, problem: Problem, standing: Standing | None) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.standing = standing
        """The standing of the caller's own account; None if no store answered."""

"""A refusal on its way to the edge, with what its headers need."""

from luna_serving.wire.problems import Problem
from luna_store.quota.debits import Standing


class Denied(Exception):
    """An authenticated caller is refused. The edge renders `problem` with the RateLimit headers of `standing`."""

    def __init__(self, problem: Problem, standing: Standing | None) -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.standing = standing
        """The caller's own; None where no store could say."""

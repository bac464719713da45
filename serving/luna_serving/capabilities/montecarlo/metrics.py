"""What a replica counts."""

from prometheus_client import CollectorRegistry, Counter, Histogram

from luna_serving.engines.finance.montecarlo.api.description import Problem


class MonteCarloMetrics:
    """Blocks, paths and their time."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._path_steps = Counter(
            "luna_montecarlo_path_steps_total",
            "Path-steps that were computed, by sampling.",
            ["sampling"],
            registry=registry,
        )
        self._seconds = Histogram(
            "luna_montecarlo_block_seconds",
            "How long a block took.",
            registry=registry,
            buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
        )

    def computed(self, problem: Problem, seconds: float) -> None:
        """Count a block."""
        drawing = problem.drawing
        self._path_steps.labels(drawing.sampling.value).inc(drawing.paths * len(problem.times))
        self._seconds.observe(seconds)

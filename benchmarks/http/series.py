"""What is sent, and what must come back: seeded series and a reference filter.

Here belongs everything that decides whether an answer is right. No I/O but the file of bodies that wrk reads.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Luna's documented defaults for a request without `model`; the reference and the original design share them.
OBS_VAR = 1.0
LEVEL_VAR = 0.1

SEED = 1935
# Several bodies, sent in turn, so that no server can live off having seen the very same bytes a moment ago.
BODIES = 8
# The original starts from a large variance, Luna from an exact diffuse one: they differ by about 1e-7 on the
# first point and by nothing on the last, which is the one compared. 1e-5 leaves room for a server that computes
# in float32, and none for one that filters with other variances or hands the observation back.
RTOL = 1e-5


@dataclass(frozen=True)
class Load:
    """The bodies of one series length, and the last filtered level that each must lead to."""

    points: int
    bodies: tuple[bytes, ...]
    last_levels: tuple[float, ...]

    def write(self, path: Path, body: Callable[[bytes], bytes] | None = None) -> Path:
        """Write one body a line (JSON as `json.dumps` prints it holds no line break).

        Args:
            path: of the file.
            body: makes another protocol's body of one; none if None.
        """
        bodies = self.bodies if body is None else map(body, self.bodies)
        path.write_bytes(b"\n".join(bodies) + b"\n")
        return path


def make_load(points: int) -> Load:
    """Draw random walks seen through noise; every digit that a double has is sent."""
    rng = np.random.default_rng([SEED, points])
    shape = (BODIES, points)
    # Around 100, so that no level comes near zero and a relative tolerance means something.
    levels = 100.0 + np.cumsum(rng.normal(0.0, np.sqrt(LEVEL_VAR), shape), axis=1)
    series = levels + rng.normal(0.0, np.sqrt(OBS_VAR), shape)
    return Load(
        points=points,
        bodies=tuple(json.dumps({"results": one.tolist()}).encode() for one in series),
        last_levels=tuple(last_level(one) for one in series),
    )


def last_level(series: np.ndarray) -> float:
    """Return the last filtered level of a local level model with a diffuse start.

    By conditioning the joint Gaussian, without a recursion: given all observations and a flat prior on the
    level at t=1, the level at t=T is a generalised least squares mean plus a projection of the residuals.
    """
    steps = np.arange(len(series))
    walk_cov = LEVEL_VAR * np.minimum.outer(steps, steps)
    weights = np.linalg.solve(walk_cov + OBS_VAR * np.eye(len(series)), np.column_stack([series, np.ones(len(series))]))
    start = weights[:, 0].sum() / weights[:, 1].sum()
    return float(start + walk_cov[-1] @ (weights[:, 0] - start * weights[:, 1]))


def fault_in_echo(sent: bytes, answer: object) -> str | None:
    """Say what is wrong with an echo of `sent`, if anything."""
    return None if answer == json.loads(sent) else "the body did not come back unchanged"


def fault_in_filter(sent: bytes, answer: object, level: float) -> str | None:
    """Say what is wrong with a filter's answer to `sent`, if anything."""
    series = json.loads(sent)["results"]
    if not isinstance(answer, dict) or not {"processed_results", "input_data"} <= answer.keys():
        return f"no processed_results and input_data in {str(answer)[:200]}"
    if answer["input_data"] != series:
        return "input_data is not the series that was sent"
    if len(answer["processed_results"]) != len(series):
        return f"{len(answer['processed_results'])} results for {len(series)} points"
    last = answer["processed_results"][-1]
    if not isinstance(last, float) or not abs(last - level) <= RTOL * abs(level):
        return (
            f"the last filtered level is {last}, the reference says {level} (rtol {RTOL}; obs_var {OBS_VAR} "
            f"and level_var {LEVEL_VAR} in benchmarks/http/series.py must be the server's defaults)"
        )
    return None

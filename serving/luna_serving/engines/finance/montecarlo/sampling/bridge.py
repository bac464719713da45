"""The Brownian bridge: the first dimensions of a net decide the coarse shape of a path.

Glasserman, "Monte Carlo Methods in Financial Engineering" (2004), section 3.1.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, slots=True)
class Bridge:
    """The order in which the values of a Brownian motion are built, and the weights of each."""

    index: tuple[int, ...]
    """Built as the i-th; -1 is the origin in `left` and `right`."""
    left: tuple[int, ...]
    right: tuple[int, ...]
    weight_left: tuple[float, ...]
    weight_right: tuple[float, ...]
    deviation: tuple[float, ...]
    roots: tuple[float, ...]
    """Square roots of the steps of time."""

    @classmethod
    def of(cls, times: tuple[float, ...]) -> "Bridge":
        """For a motion from 0 at time 0, at increasing positive times: the last first, then halves of gaps."""
        last = len(times) - 1
        order, gaps = [(last, -1, -1)], [(-1, last)]
        while gaps:
            following = []
            for low, high in gaps:
                if high - low > 1:
                    middle = (low + high) // 2
                    order.append((middle, low, high))
                    following += [(low, middle), (middle, high)]
            gaps = following
        rows = []
        for i, low, high in order:
            if high < 0:
                rows.append((i, -1, -1, 0.0, 0.0, times[i] ** 0.5))
                continue
            a, t, b = (0.0 if low < 0 else times[low]), times[i], times[high]
            rows.append((i, low, high, (b - t) / (b - a), (t - a) / (b - a), ((b - t) * (t - a) / (b - a)) ** 0.5))
        steps = np.diff([0.0, *times])
        index, left, right, weight_left, weight_right, deviation = zip(*rows, strict=True)
        roots = tuple(np.sqrt(steps).tolist())
        return cls(index, left, right, weight_left, weight_right, deviation, roots)

    def increments(self, z: Float[np.ndarray, "steps factors n"]) -> Float[np.ndarray, "steps factors n"]:
        """Independent standard normals of each step in time, from standard normals in the order of the bridge."""
        w = np.empty_like(z)
        for o, i in enumerate(self.index):
            np.multiply(z[o], self.deviation[o], out=w[i])
            if self.right[o] >= 0:
                w[i] += self.weight_right[o] * w[self.right[o]]
                if self.left[o] >= 0:
                    w[i] += self.weight_left[o] * w[self.left[o]]
        out = z  # its numbers are used up
        out[0] = w[0]
        np.subtract(w[1:], w[:-1], out=out[1:])
        for i, root in enumerate(self.roots):
            out[i] /= root
        return out

"""What a model and a payoff draw in each step, from either kind of sampling."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri

from luna_serving.engines.finance.montecarlo.sampling.bridge import Bridge
from luna_serving.engines.finance.montecarlo.sampling.counters import Use, stream
from luna_serving.engines.finance.montecarlo.sampling.sobol import points

# Independent scrambles of a Sobol net: the error comes from the spread of their means.
SCRAMBLES: Final = 16
# Numbers of a net that are held at once: 16 MiB, and as much again for the bridge.
MOST_NUMBERS: Final = 1 << 21


class Sampling(Enum):
    """Where random numbers come from."""

    PSEUDO = "pseudo"
    SOBOL = "sobol"


@dataclass(frozen=True, slots=True)
class Needs:
    """Numbers that one step of a path draws."""

    normals: int
    uniforms: int


@dataclass(frozen=True, slots=True)
class Step:
    """The numbers of one step, for n paths."""

    normals: Float[np.ndarray, "factors n"]
    uniforms: Float[np.ndarray, "uniforms n"]
    auxiliary: np.random.Generator
    """For what needs a number now and then; independent of the others."""


class Draws(Protocol):
    """The numbers of n paths."""

    @property
    def paths(self) -> int:
        """How many."""

    @property
    def groups(self) -> int:
        """Scrambles that the paths belong to, in equal parts and in order; pseudo-random paths are one group."""

    def steps(self) -> Iterator[Step]:
        """The steps in order; iterated once."""


@dataclass(frozen=True, slots=True)
class Pseudo:
    """Independent paths; with `antithetic`, path n/2 + i mirrors path i."""

    paths: int
    count: int
    needs: Needs
    generator: np.random.Generator
    antithetic: bool
    groups: int = 1

    def steps(self) -> Iterator[Step]:
        """See `Draws`."""
        n, half = self.paths, self.paths // 2
        for _ in range(self.count):
            z = np.empty((self.needs.normals, n))
            u = np.empty((self.needs.uniforms, n))
            if self.antithetic:
                for row in z:
                    self.generator.standard_normal(out=row[:half])
                np.negative(z[:, :half], out=z[:, half:])
                for row in u:
                    self.generator.random(out=row[:half])
                np.subtract(1.0, u[:, :half], out=u[:, half:])
            else:
                self.generator.standard_normal(out=z)
                self.generator.random(out=u)
            yield Step(z, u, self.generator)


@dataclass(frozen=True, slots=True)
class Net:
    """Paths of some scrambles of a Sobol net: the first dimensions build bridges, the last are uniforms."""

    paths: int
    times: tuple[float, ...]
    needs: Needs
    seed: int
    first: int
    """Of the points of each scramble."""
    scrambles: tuple[int, ...]
    auxiliary: np.random.Generator

    @property
    def groups(self) -> int:
        """See `Draws`."""
        return len(self.scrambles)

    def steps(self) -> Iterator[Step]:
        """See `Draws`."""
        count, factors, uniforms = len(self.times), self.needs.normals, self.needs.uniforms
        each = self.paths // self.groups
        dimensions = count * (factors + uniforms)
        x = points(self.seed, self.scrambles, dimensions, self.first, each)
        split = count * factors
        z = ndtri(x[:split]).reshape(count, factors, self.paths)
        if count > 1 and factors:
            z = Bridge.of(self.times).increments(z)
        u = x[split:].reshape(count, uniforms, self.paths)
        for i in range(count):
            yield Step(z[i], u[i], self.auxiliary)


@dataclass(frozen=True, slots=True)
class Drawing:
    """How the blocks of a problem draw."""

    sampling: Sampling
    paths: int
    """Of a block: a multiple of `SCRAMBLES`, a power of two."""
    times: tuple[float, ...]
    needs: Needs
    antithetic: bool

    @property
    def dimensions(self) -> int:
        """Of a point of the net."""
        return len(self.times) * (self.needs.normals + self.needs.uniforms)

    def block(self, seed: int, block: int) -> Iterator[Draws]:
        """The draws of a block, in pieces that fit in memory."""
        if self.sampling is Sampling.PSEUDO:
            yield Pseudo(self.paths, len(self.times), self.needs, stream(seed, Use.PATHS, block), self.antithetic)
            return
        each = self.paths // SCRAMBLES
        together = SCRAMBLES
        while together > 1 and together * each * self.dimensions > MOST_NUMBERS:
            together //= 2
        auxiliary = stream(seed, Use.AUXILIARY, block)
        for start in range(0, SCRAMBLES, together):
            yield Net(
                together * each,
                self.times,
                self.needs,
                seed,
                block * each,
                tuple(range(start, start + together)),
                auxiliary,
            )

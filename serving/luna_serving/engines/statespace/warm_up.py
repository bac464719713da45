"""Compiling ahead of time: every program that a call can ask for, the most usual first."""

import time
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from luna_serving.engines.statespace.model.model import MAX_STATES, Model
from luna_serving.engines.statespace.plans import per_series, shared_gain
from luna_serving.engines.statespace.process.jax_process import require_float64
from luna_serving.engines.statespace.recursions.filter import Variant
from luna_serving.engines.statespace.running.packing import Group, Kind, kinds
from luna_serving.engines.statespace.running.passes import backward_pass, forward_pass


class Shape(NamedTuple):
    """What one compiled program is for; "smooth" is the backward pass that follows a "full" filter."""

    kind: Kind
    variant: Variant | Literal["smooth"]
    chunk: int
    width: int


def compiled_shapes() -> list[Shape]:
    """Every shape that a call can ask XLA for, the most usual first."""
    filters = [
        Shape(kind, variant, chunk, width)
        for kind in kinds()
        for variant in kind.variants
        for chunk in kind.buckets(variant).lengths
        for width in kind.buckets(variant).widths
    ]
    # After the square-root filter the smoother is that of matrices that vary.
    full = [shape for shape in filters if shape.variant == "full" and not shape.kind.root]
    smoothers = [shape._replace(variant="smooth") for shape in full]
    return sorted([*filters, *smoothers], key=lambda shape: (not shape.kind.simple, shape.kind.states))


def warm_up(progress: Callable[[int, int, Shape, float], None] | None = None, *, states: int = MAX_STATES) -> float:
    """Compile every shape ahead of time, so that a live replica never does; return the seconds it took.

    `progress(done, total, shape, seconds)` is called after each. Models of more than `states` states are left out:
    the first call that needs one of their programs waits for its compiler.
    """
    require_float64()
    shapes = [shape for shape in compiled_shapes() if shape.kind.states <= states]
    begun = time.perf_counter()
    for done, shape in enumerate(shapes, start=1):
        since = time.perf_counter()
        compile_shape(shape)
        if progress is not None:
            progress(done, len(shapes), shape, time.perf_counter() - since)
    return time.perf_counter() - begun


def warm_up_plans(states: int = MAX_STATES) -> None:
    """Compile the programs of the plans for many series, likewise."""
    require_float64()
    shared_gain.warm_up(states)
    per_series.warm_up(states)


def compile_shape(shape: Shape) -> None:
    """Run a series through the programs of a shape."""
    smooth = shape.variant == "smooth"
    model = _example(shape.kind, 2 * shape.chunk)
    # Two chunks: the earlier one gets its carries from NumPy, the later one from JAX; a smoother the other way round.
    item = (np.zeros(shape.chunk + 1), model)
    part = Group(shape.kind, "full" if shape.variant == "smooth" else shape.variant, shape.width, (0,))
    passed = forward_pass([item], part, None, keep=smooth)
    if smooth:
        backward_pass(passed)


def _example(kind: Kind, periods: int) -> Model:
    """A model of a kind that covers that many periods."""
    n = kind.states if kind.simple else max(kind.states - 1, 3)
    transition = np.broadcast_to(np.eye(n), (periods, n, n)) if kind.varies else np.eye(n)
    return Model(transition=transition, design=np.ones((1, n)), obs_cov=np.eye(1), state_cov=np.eye(n))

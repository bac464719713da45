"""The few operations that the smoother's parts share, with the batch as the last axis as in `recursion.py`."""

from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from luna_serving.engines.statespace.recursions.recursion import Params, matmul, symmetric

Rows = TypeVar("Rows")


def transpose(matrix: Float[Array, "row column batch"]) -> Float[Array, "column row batch"]:
    """Turn the matrix of each member of the batch."""
    return matrix.transpose(1, 0, 2)


def between(outer: Float[Array, "row column batch"], inner: Float[Array, "row row batch"]) -> Array:
    """Return outer' inner outer `[column, column, batch]`."""
    return matmul(transpose(outer), matmul(inner, outer))


def unexplained(params: Params, k: Float[Array, "state batch"]) -> Float[Array, "state state batch"]:
    """I - K Z."""
    return jnp.eye(k.shape[0], dtype=k.dtype)[:, :, None] - k[:, None] * params.design[None]


def covariance(cov: Float[Array, "state state batch"]) -> Float[Array, "state state batch"]:
    """Exactly symmetric, and no variance below zero by rounding."""
    diagonal = jnp.eye(cov.shape[0], dtype=bool)[:, :, None]
    return symmetric(jnp.where(diagonal & (cov < 0), 0.0, cov))


def row(rows: Rows, t: Int[Array, ""]) -> Rows:
    """Row t of every array."""
    picked: Rows = jax.tree.map(lambda array: lax.dynamic_index_in_dim(array, t, 0, keepdims=False), rows)
    return picked


def write(written: dict[str, Array], t: Int[Array, ""], rows: dict[str, Array]) -> dict[str, Array]:
    """Put rows into their places at t."""
    return {name: lax.dynamic_update_index_in_dim(written[name], now, t, 0) for name, now in rows.items()}

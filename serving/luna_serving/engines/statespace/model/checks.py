"""What a model's numbers must satisfy, and the error that says which one does not and what to do about it."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

# The square of the largest, times a long series' growth, must stay below float64's 1.8e308.
LARGEST: Final = 1e100
# Below this 1 / variance and its square come near overflow; zero itself is a meaning of its own.
SMALLEST_VARIANCE: Final = 1e-100
# Rounding in a covariance that a caller computed and printed with 10 digits or so.
COVARIANCE_TOLERANCE: Final = 1e-9


class ModelError(ValueError):
    """A model that cannot be run. `pointer` is a JSON pointer relative to the model, e.g. "/obs_var"."""

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(f"{pointer}: {message}")
        self.pointer = pointer
        self.message = message


def magnitude(pointer: str, value: float) -> float:
    """Return a finite number that the filter's squares cannot overflow."""
    number = float(value)
    if not np.isfinite(number):
        raise ModelError(pointer, "must be a finite number")
    if abs(number) > LARGEST:
        raise ModelError(pointer, f"must not exceed {LARGEST:g} in size: measure the series in a larger unit")
    return number


def variance(pointer: str, value: float) -> float:
    """Return a variance: zero, or in [1e-100, 1e100]."""
    number = magnitude(pointer, value)
    if number < 0:
        raise ModelError(pointer, f"is a variance and must not be negative; got {number:g}")
    if 0 < number < SMALLEST_VARIANCE:
        raise ModelError(
            pointer,
            f"must be zero or at least {SMALLEST_VARIANCE:g}: measure the series in a smaller unit",
        )
    return number


def _numbers(pointer: str, value: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as cause:
        raise ModelError(pointer, f"must be numbers of shape {list(shape)}") from cause


def _array(pointer: str, value: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    array = _numbers(pointer, value, shape)
    if array.shape != shape:
        raise ModelError(pointer, f"must have shape {list(shape)}; got {list(array.shape)}")
    if not np.isfinite(array).all():
        raise ModelError(pointer, "must hold finite numbers only")
    if np.abs(array).max(initial=0.0) > LARGEST:
        raise ModelError(pointer, f"must not exceed {LARGEST:g} in size: measure the series in a larger unit")
    return array


def vector(pointer: str, value: ArrayLike, n: int) -> NDArray[np.float64]:
    """Return a copy of `value` as float64 `[n]`."""
    return _array(pointer, value, (n,))


def matrix(pointer: str, value: ArrayLike, n: int) -> NDArray[np.float64]:
    """Return a copy of `value` as float64 `[n, n]`."""
    return _array(pointer, value, (n, n))


def fitting(pointer: str, value: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return a copy of `value` as float64 of that shape, or with a leading axis of time."""
    rank = len(shape)
    if np.ndim(_numbers(pointer, value, shape)) != rank + 1:
        return _array(pointer, value, shape)
    length = len(np.asarray(value))
    if length == 0:
        raise ModelError(pointer, "must cover at least one period")
    return _array(pointer, value, (length, *shape))


def covariance(pointer: str, value: ArrayLike, n: int) -> NDArray[np.float64]:
    """Return a copy of `value` [n, n], exactly symmetric, or say why it is no covariance."""
    return _covariance(pointer, matrix(pointer, value, n))


def covariances(pointer: str, value: ArrayLike, n: int) -> NDArray[np.float64]:
    """Return a copy of `value` [n, n], or [T, n, n], exactly symmetric, or say why it is no covariance."""
    return _covariance(pointer, fitting(pointer, value, (n, n)))


def _covariance(pointer: str, cov: NDArray[np.float64]) -> NDArray[np.float64]:
    """Judged after scaling to correlations, so that the units of the states do not matter."""
    diagonal = np.diagonal(cov, axis1=-2, axis2=-1)
    if (diagonal < 0).any():
        raise ModelError(pointer, "has a negative variance on its diagonal; variances must be zero or more")
    if ((diagonal > 0) & (diagonal < SMALLEST_VARIANCE)).any():
        raise ModelError(
            pointer,
            f"must have variances of zero or at least {SMALLEST_VARIANCE:g}: measure the series in a smaller unit",
        )
    scale = np.sqrt(diagonal)
    bound = scale[..., :, None] * scale[..., None, :]
    turned = np.swapaxes(cov, -1, -2)
    if (np.abs(cov - turned) > COVARIANCE_TOLERANCE * bound).any():
        raise ModelError(pointer, "must be symmetric: use (cov + its transpose) / 2")
    cov = (cov + turned) / 2
    correlation = cov / np.where(bound > 0, bound, 1.0)
    outside = (np.abs(cov) > bound * (1 + COVARIANCE_TOLERANCE)).any()
    if outside or (np.linalg.eigvalsh(correlation)[..., 0] < -COVARIANCE_TOLERANCE * cov.shape[-1]).any():
        raise ModelError(pointer, "must be positive semi-definite: a covariance's eigenvalues are zero or more")
    return cov

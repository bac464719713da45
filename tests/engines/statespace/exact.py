"""The textbook's filter and Rauch-Tung-Striebel smoother in exact fractions: what any float should have been."""

from fractions import Fraction

import numpy as np

from luna_serving.engines.statespace.model.model import Model

Matrix = list[list[Fraction]]


def fractions(array: np.ndarray) -> Matrix:
    return [[Fraction(float(x)) for x in line] for line in np.atleast_2d(array)]


def product(left: Matrix, right: Matrix) -> Matrix:
    return [
        [sum((a * b for a, b in zip(line, column, strict=True)), Fraction(0)) for column in zip(*right, strict=True)]
        for line in left
    ]


def total(left: Matrix, right: Matrix, sign: int = 1) -> Matrix:
    return [[a + sign * b for a, b in zip(one, other, strict=True)] for one, other in zip(left, right, strict=True)]


def turned(matrix: Matrix) -> Matrix:
    return [list(line) for line in zip(*matrix, strict=True)]


def inverse(m: Matrix) -> Matrix:
    if len(m) == 1:
        return [[1 / m[0][0]]]
    (a, b), (c, d) = m
    size = a * d - b * c
    return [[d / size, -b / size], [-c / size, a / size]]


def smoothed(model: Model, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means [T, n] and covariances [T, n, n] of a model with one or two states and a start that is not diffuse."""
    t, q, z = fractions(model.transition), fractions(model.disturbance_cov), fractions(model.design)
    a, p = turned(fractions(model.start.mean)), fractions(model.start.cov)
    predicted, filtered = [], []
    for value in y:
        predicted.append((a, p))
        if not np.isnan(value):
            m = product(p, turned(z))
            f = product(z, m)[0][0] + Fraction(float(model.obs_cov[0, 0]))
            v = Fraction(float(value)) - product(z, a)[0][0]
            a = total(a, [[x[0] * v / f] for x in m])
            p = total(p, [[x / f for x in line] for line in product(m, turned(m))], -1)
        filtered.append((a, p))
        a, p = product(t, a), total(product(product(t, p), turned(t)), q)
    answers = [filtered[-1]]
    for (a, p), (ahead, cov_ahead) in zip(reversed(filtered[:-1]), reversed(predicted[1:]), strict=True):
        later, cov_later = answers[-1]
        j = product(product(p, turned(t)), inverse(cov_ahead))
        answers.append(
            (
                total(a, product(j, total(later, ahead, -1))),
                total(p, product(product(j, total(cov_later, cov_ahead, -1)), turned(j))),
            )
        )
    means = np.array([[float(x[0]) for x in mean] for mean, _ in reversed(answers)])
    return means, np.array([[[float(x) for x in line] for line in cov] for _, cov in reversed(answers)])

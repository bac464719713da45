"""Against a benchmark, and Kalman filters by their textbook recursions from a start solved by hand."""

from itertools import pairwise
from math import sqrt

from tests.engines.indicators.oracle.windows import Line, Values, mean, ratio, windowed


def returns(close: Values) -> list[float]:
    return [b / a - 1 for a, b in pairwise(close)]


def beta(close: Values, benchmark: Values, period: int) -> Line:
    ys, xs = returns(close), returns(benchmark)

    def at(a: int, b: int) -> float:
        x0, y0 = mean(xs[a:b]), mean(ys[a:b])
        above = sum((x - x0) * (y - y0) for x, y in zip(xs[a:b], ys[a:b], strict=True))
        return ratio(above, sum((x - x0) ** 2 for x in xs[a:b]))

    return [None, *windowed(len(xs), period, at)]


def correl(close: Values, benchmark: Values, period: int) -> Line:
    def at(a: int, b: int) -> float:
        x0, y0 = mean(benchmark[a:b]), mean(close[a:b])
        xs, ys = [x - x0 for x in benchmark[a:b]], [y - y0 for y in close[a:b]]
        below = sqrt(sum(x * x for x in xs) * sum(y * y for y in ys))
        return ratio(sum(x * y for x, y in zip(xs, ys, strict=True)), below)

    return windowed(len(close), period, at)


def kalman_level(close: Values, obs_var: float, level_var: float) -> Line:
    """The first bar is all that is known of the level: mean y, variance obs_var."""
    level, variance = close[0], obs_var
    line: Line = [level]
    for y in close[1:]:
        variance += level_var
        gain = variance / (variance + obs_var)
        level += gain * (y - level)
        variance *= 1 - gain
        line.append(level)
    return line


def kalman_trend(close: Values, obs_var: float, level_var: float, trend_var: float) -> tuple[Line, Line]:
    """After two bars: level y1 with the error e1; trend y1 - y0, with errors e0, e1, the level's and its own."""
    levels: Line = [None] * min(1, len(close))
    trends: Line = [None] * min(1, len(close))
    if len(close) < 2:
        return levels, trends
    level, trend = close[1], close[1] - close[0]
    p11, p12, p22 = obs_var, obs_var, 2 * obs_var + level_var + trend_var
    levels.append(level)
    trends.append(trend)
    for y in close[2:]:
        level += trend
        p11, p12, p22 = p11 + 2 * p12 + p22 + level_var, p12 + p22, p22 + trend_var
        error, variance = y - level, p11 + obs_var
        gain1, gain2 = p11 / variance, p12 / variance
        level, trend = level + gain1 * error, trend + gain2 * error
        p22 -= gain2 * p12
        p11, p12 = p11 * (1 - gain1), p12 * (1 - gain1)
        levels.append(level)
        trends.append(trend)
    return levels, trends


def kalman_beta(
    close: Values, benchmark: Values, obs_var: float, beta_var: float, alpha_var: float
) -> tuple[Line, Line]:
    """An information filter: nothing known is the zero matrix, so the diffuse start needs no limit.

    With the information matrix L = [[a, b], [b, c]] and vector e, a random walk of covariance Q makes them
    (I + L Q)^-1 L and (I + L Q)^-1 e.
    """
    a = b = c = e1 = e2 = 0.0
    betas: Line = [None]
    alphas: Line = [None]
    for y, x in zip(returns(close), returns(benchmark), strict=True):
        m11, m12, m21, m22 = 1 + a * beta_var, b * alpha_var, b * beta_var, 1 + c * alpha_var
        d = m11 * m22 - m12 * m21
        e1, e2 = (m22 * e1 - m12 * e2) / d, (m11 * e2 - m21 * e1) / d
        a, b, c = (m22 * a - m12 * b) / d, (m22 * b - m12 * c) / d, (m11 * c - m21 * b) / d
        a, b, c = a + x * x / obs_var, b + x / obs_var, c + 1 / obs_var
        e1, e2 = e1 + x * y / obs_var, e2 + y / obs_var
        d = a * c - b * b
        first = len(betas) == 1
        betas.append(None if first else (c * e1 - b * e2) / d)
        alphas.append(None if first else (a * e2 - b * e1) / d)
    return betas[: len(close)], alphas[: len(close)]

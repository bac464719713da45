"""Published problems, and random ones."""

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.finance.markowitz.api.problems import Assets, assets_of

Floats = NDArray[np.float64]

# Bailey and Lopez de Prado (2013), "An open-source implementation of the critical-line algorithm for portfolio
# optimization", table 1; the file CLA_Data.csv of the paper.
TEN_MEANS = [1.175, 1.19, 0.396, 1.12, 0.346, 0.679, 0.089, 0.73, 0.481, 1.08]
_TEN = """
0.40755159
0.03175842 0.9063047
0.05183923 0.03136385 0.19490901
0.05663904 0.02687256 0.04408485 0.19528471
0.0330226 0.01917172 0.03006772 0.02777345 0.34059105
0.00827775 0.00934384 0.01322738 0.00526665 0.00777055 0.15983874
0.02165938 0.02495043 0.03525971 0.01375808 0.02067844 0.02105575 0.68056711
0.01332419 0.00761036 0.0115493 0.00780878 0.00736409 0.00518686 0.01377882 0.95526918
0.0343476 0.02874874 0.0427563 0.02914176 0.02542657 0.01723737 0.04627027 0.0106553 0.31681584
0.02249903 0.01336866 0.02057303 0.01640377 0.01284075 0.00723779 0.01926088 0.00760955 0.01854318 0.11079287
"""


def symmetric(lower: str) -> Floats:
    """A matrix from the rows of its lower triangle."""
    rows = [[float(x) for x in line.split()] for line in lower.strip().splitlines()]
    matrix = np.zeros((len(rows), len(rows)))
    for i, row in enumerate(rows):
        matrix[i, : i + 1] = matrix[: i + 1, i] = row
    return matrix


TEN_COV = symmetric(_TEN)
TEN_SHARPE = 4.4535334766

# He and Litterman (1999), tables 1 and 2: Australia, Canada, France, Germany, Japan, UK, USA.
COUNTRIES = ["Australia", "Canada", "France", "Germany", "Japan", "UK", "USA"]
_CORRELATIONS = """
1
.488 1
.478 .664 1
.515 .655 .861 1
.439 .310 .355 .354 1
.512 .608 .783 .777 .405 1
.491 .779 .668 .653 .306 .652 1
"""
_VOLATILITIES = np.array([16.0, 20.3, 24.8, 27.1, 21.0, 20.0, 18.7]) / 100
MARKET = np.array([1.6, 2.2, 5.2, 5.5, 11.6, 12.4, 61.5]) / 100
COUNTRY_COV = symmetric(_CORRELATIONS) * np.outer(_VOLATILITIES, _VOLATILITIES)
# Germany outperforms the rest of Europe, by its capitalisation, by 5 %.
GERMANY = np.array([0, 0, -5.2 / 17.6, 1, 0, -12.4 / 17.6, 0])

# Equal risk contribution: the page's example.
ERC_COV = symmetric("1\n.8 1\n.5 .3 1") * np.outer([0.30, 0.20, 0.15], [0.30, 0.20, 0.15])
ERC_WEIGHTS = [0.19686194, 0.32444083, 0.47869723]


def random_returns(n: int, seed: int, periods: int | None = None) -> Floats:
    """Returns with five common factors, [T, n]."""
    rng = np.random.default_rng([n, seed])
    count = periods or 2 * n + 10
    common = rng.standard_normal((count, 5)) @ rng.standard_normal((5, n)) * 0.01
    return common + rng.standard_normal((count, n)) * 0.01 + rng.standard_normal(n) * 0.003


def random_assets(n: int, seed: int) -> Assets:
    """Assets with the sample moments of random returns."""
    returns = random_returns(n, seed)
    return assets_of(returns.mean(axis=0), np.cov(returns.T))

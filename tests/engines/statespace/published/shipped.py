"""The result files of KFAS, Stata, MATLAB and GAUSS that statsmodels ships with its own tests, and our runs of them.

They are read where statsmodels is installed: nothing is copied. A file that is missing fails the test that needs it.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import statsmodels.api as sm
from statsmodels.tsa.statespace.representation import Representation
from statsmodels.tsa.statespace.tests import results

from luna_serving.engines.statespace.batch import smooth_batch
from luna_serving.engines.statespace.model.initial import Initial
from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.results.series import Convention, FullOutputs, SeriesResult

FOLDER = Path(results.__file__).parent


def shipped(name: str) -> Path:
    path = FOLDER / name
    assert path.is_file(), f"statsmodels does not ship {name} any more"
    return path


def table(name: str, **options: object) -> pd.DataFrame:
    return pd.read_csv(shipped(name), **options)


def columns(frame: pd.DataFrame, stem: str, count: int, length: int, mark: str = "") -> np.ndarray:
    """[length, count] of the columns stem1, stem2 ... (or stem_1 ...)."""
    return frame[[f"{stem}{mark}{i + 1}" for i in range(count)]].to_numpy(dtype=np.float64)[:length]


def matrices(frame: pd.DataFrame, stem: str, size: int, length: int) -> np.ndarray:
    """[length, size, size] of the columns stem_1 ..., each row a matrix column by column."""
    return columns(frame, stem, size * size, length, "_").reshape(-1, size, size).swapaxes(1, 2)


def macro(*names: str) -> np.ndarray:
    """American quarterly series 1959Q1 to 2009Q3, [203, len(names)]."""
    return sm.datasets.macrodata.load_pandas().data[list(names)].to_numpy(dtype=np.float64)


def with_gaps(y: np.ndarray) -> np.ndarray:
    """The gaps that statsmodels' tests call mixed: some elements missing, and all of them."""
    y = y.copy()
    for rows, column in ((slice(50), 0), (slice(19, 70), 1), (slice(39, 90), 2), (slice(119, 130), [0, 2])):
        y[rows, column] = np.nan
    return y


def smoothed(y: np.ndarray, model: Model, loglike: Convention = "full") -> SeriesResult:
    return smooth_batch([(y, model)], loglike=loglike).series[0]


def near(ours: np.ndarray | float, theirs: np.ndarray | float, rtol: float = 1e-7, atol: float = 0.0) -> None:
    """Element by element; 1e-7 is what statsmodels takes where it says nothing else."""
    np.testing.assert_allclose(ours, np.asarray(theirs), rtol=rtol, atol=atol)


def one_by_one(full: FullOutputs, observed: int, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Forecast errors v and variances F [T - first, m] of elements taken one by one, each given those before it.

    KFAS answers these; ours are joint. With F = L L' they are L⁻¹ v · diag(L) and diag(L)² (Durbin & Koopman 2012,
    section 6.4). NaN where missing.
    """
    length = len(full.forecasts)
    joint = full.forecast_error_cov.reshape(length, observed, observed)
    standard = full.standardized_forecast_error.reshape(length, observed)
    errors, variances = np.full((2, length, observed), np.nan)
    for t in range(first, length):
        seen = ~np.isnan(standard[t])
        root = np.diag(np.linalg.cholesky(joint[t][np.ix_(seen, seen)])) if seen.any() else np.zeros(0)
        errors[t, seen], variances[t, seen] = standard[t, seen] * root, root**2
    return errors[first:], variances[first:]


def model_of(ssm: Representation, initial: Initial) -> Model:
    """The matrices that a model of statsmodels holds after its `update`, started in our own way."""

    def fixed_or_moving(name: str, rank: int) -> np.ndarray:
        array = np.moveaxis(np.asarray(getattr(ssm, name), np.float64), -1, 0)
        array = array[0] if len(array) == 1 else array
        assert array.ndim in {rank, rank + 1}
        return array

    names = ("transition", "design", "obs_cov", "state_cov", "selection")
    fields = {name: fixed_or_moving(name, 2) for name in names}
    fields |= {name: fixed_or_moving(name, 1) for name in ("obs_intercept", "state_intercept")}
    return Model(**fields, initial=initial)

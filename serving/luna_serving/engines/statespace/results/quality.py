"""What the numbers of an answer are worth. Pure NumPy."""

from collections.abc import Sequence

import numpy as np

from luna_serving.engines.statespace.results.series import SeriesResult


def warnings_of(results: Sequence[SeriesResult]) -> tuple[str, ...]:
    """What the caller should know of the numbers."""
    return (*overflows([result.finite for result in results]), *contradictions(results))


def overflows(finite: Sequence[bool]) -> tuple[str, ...]:
    """A warning where some series have no finite answer."""
    bad = sum(not each for each in finite)
    return (f"{bad} of {len(finite)} series overflowed float64",) if bad else ()


def contradictions(results: Sequence[SeriesResult]) -> tuple[str, ...]:
    """A warning where observations contradict a forecast that the model says is certain, with the first one's place."""
    found = [(i, result.full.ruled_out) for i, result in enumerate(results) if result.full is not None]
    places = [(i, rows) for i, rows in found if rows is not None and rows.any()]
    if not places:
        return ()
    series, rows = places[0]
    period, element = np.argwhere(rows)[0].tolist()
    first = f"/observations/{series}/{period}"
    if rows.shape[1] > 1:
        first = f"{first}/{element}"
    count = sum(int(rows.sum()) for _, rows in places)
    are = "observation contradicts" if count == 1 else "observations contradict"
    where = f"in {len(places)} of {len(results)} series; the first is {first}"
    cure = "give the model noise (obs_cov), or look at the data"
    wrong = f"{count} {are} the model, which leaves no variance there, {where}."
    return (f"{wrong} loglike and loglike_obs are null there, and no state learns from it: {cure}",)

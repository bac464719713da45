"""Parameters that tests draw, the same in every run."""

import random
from collections.abc import Iterator, Mapping
from typing import Final

from luna_serving.engines.indicators.catalogue import CATALOGUE, Indicator, Parameter, ParameterInvalid, checked

ENTRIES: Final = tuple(CATALOGUE.values())
LONGEST: Final = 40
"""So that histories of tests hold values."""


def parameters(indicator: Indicator, count: int = 3) -> Iterator[Mapping[str, int | float]]:
    """The defaults, the smallest parameters, and so many drawn ones, those that contradict left out."""
    yield checked(indicator, {})
    if not indicator.parameters:
        return
    rng = random.Random(indicator.name)
    smallest = {each.name: each.min for each in indicator.parameters if each.type == "integer"}
    drawn = [{each.name: draw(each, rng) for each in indicator.parameters} for _ in range(20 * count)]
    for given in [smallest, *drawn]:
        try:
            params = checked(indicator, given)
        except ParameterInvalid:
            continue
        yield params
        count -= given is not smallest
        if count == 0:
            return


def draw(parameter: Parameter, rng: random.Random) -> int | float:
    if parameter.type == "integer":
        return rng.randint(int(parameter.min), LONGEST)
    return rng.uniform(max(parameter.min, 0.5 * parameter.default), min(parameter.max, 2 * parameter.default + 0.01))

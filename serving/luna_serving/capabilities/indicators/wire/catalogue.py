"""The catalogue as a document."""

import orjson

from luna_serving.capabilities.indicators.wire.formulas import ANCHOR, BENCHMARK
from luna_serving.engines.indicators.catalogue import CATALOGUE, Indicator


def catalogue() -> bytes:
    """`GET /indicators`: the same for every account."""
    return orjson.dumps({"indicators": [_entry(each) for each in CATALOGUE.values()]})


def _entry(indicator: Indicator) -> dict[str, object]:
    parameters: list[dict[str, object]] = [
        {"name": p.name, "type": p.type, "default": p.default, "min": p.min, "max": p.max} for p in indicator.parameters
    ]
    if indicator.takes_anchor:
        parameters.append({"name": ANCHOR, "type": "date", "default": None, "min": None, "max": None})
    if indicator.needs_benchmark:
        parameters.append({"name": BENCHMARK, "type": "symbol", "default": None, "min": None, "max": None})
    return {
        "name": indicator.name,
        "title": indicator.title,
        "group": indicator.group.value,
        "inputs": list(indicator.inputs),
        "parameters": parameters,
        "outputs": list(indicator.outputs),
        "lookback": indicator.lookback_rule.rule,
        "stability": indicator.stability.value,
        "benchmark": indicator.needs_benchmark,
    }

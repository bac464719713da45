"""PromQL as rules may use it: the same language as queries, with the functions of models."""

from typing import Final

from luna_serving.engines.anomaly.extensions import extensions
from luna_serving.engines.promql import api as promql

# Parsing computes nothing, so they need no memory.
EXTENSIONS: Final = extensions()


def parse(text: str) -> promql.Query:
    """Parse a query.

    Raises:
        PromqlError: with the place of the first fault.
    """
    return promql.parse(text, EXTENSIONS)

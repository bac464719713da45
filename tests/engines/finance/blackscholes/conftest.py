"""The compiled engine, once for all tests."""

import pytest

from luna_serving.engines.finance.blackscholes.api.compute import Engine, configure_jax, warm_up


@pytest.fixture(scope="session")
def engine() -> Engine:
    configure_jax()
    return warm_up()

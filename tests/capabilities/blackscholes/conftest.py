"""One replica for all tests of the capability: it compiles for seconds."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from luna_serving.capabilities.blackscholes.replica import BlackScholesReplica
from luna_serving.capabilities.blackscholes.settings import BlackScholesSettings


@pytest.fixture(scope="session")
def replica() -> BlackScholesReplica:
    made = BlackScholesReplica(BlackScholesSettings(), CollectorRegistry())
    asyncio.run(made.warm_up())
    return made

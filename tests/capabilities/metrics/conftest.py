"""Fixtures of all tests of metrics."""

from types import ModuleType

import pytest


@pytest.fixture(autouse=True)
def _at_the_present(request: pytest.FixtureRequest) -> None:
    """Renew a module's NOW: it is imported long before its tests run, and an instant is looked up five minutes back."""
    module: ModuleType = request.module
    if hasattr(module, "now"):
        module.NOW = module.now()

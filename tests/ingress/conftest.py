from collections.abc import Iterator

import pytest
from tests.ingress.platform import Platform, running


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """One Luna for all tests of the API; each test makes accounts of its own."""
    with running(tmp_path_factory.mktemp("platform")) as platform:
        yield platform

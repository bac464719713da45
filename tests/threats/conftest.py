"""One `luna up` for the tests of threats."""

import shutil
from collections.abc import Iterator

import pytest
from tests.threats.running import LocalLuna, local_luna


@pytest.fixture(scope="package")
def luna(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalLuna]:
    """A running Luna that a test may attack but not stop; every request is logged, as JSON."""
    folder = tmp_path_factory.mktemp("threats")
    with local_luna(
        folder,
        LUNA_EDGE_LOG_REQUESTS="true",
        LUNA_LOG_FORMAT="json",
        LUNA_EDGE_REPLICAS_MIN="2",
        LUNA_EDGE_REPLICAS_MAX="2",
        # So that a test can send from an address of its own, by X-Forwarded-For: addresses are blocked.
        LUNA_EDGE_TRUSTED_PROXIES="127.0.0.0/8",
    ) as running:
        yield running
    shutil.rmtree(folder / "luna" / "postgres", ignore_errors=True)

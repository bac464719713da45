"""Which tests share a worker of pytest-xdist (docs/decisions/0042).

`make test` runs two workers. Each has session fixtures of its own, so tests that share a server which takes long to
start go to one worker: two Rays and two API servers beside each other would cost more than the second worker gains.
Every other module goes to the worker that is free.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE: Final = Path(__file__).parent
# The first whose fixtures a module takes, by itself or through others.
SHARED: Final = {
    "ray": frozenset({"platform"}),
    "kubernetes": frozenset({"kubernetes"}),
    "openid": frozenset({"site", "strange"}),
}
# Modules that start Ray themselves: beside the platform's, but not two of them at once.
STARTS_RAY: Final = (
    "capabilities/people/openid/test_whole_luna.py",
    "capabilities/third/test_third.py",
    "local/test_up.py",
    "telemetry/test_end_to_end.py",
    "threats/",
)


def name_groups(items: Iterable[pytest.Item]) -> None:
    """Mark every test with its group."""
    modules: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        modules[item.path.relative_to(HERE).as_posix()].append(item)
    for module, tests in modules.items():
        mark = pytest.mark.xdist_group(_group(module, tests))
        for test in tests:
            test.add_marker(mark)


def _group(module: str, tests: Iterable[pytest.Item]) -> str:
    if module.startswith(STARTS_RAY):
        return "ray"
    taken = {name for test in tests if isinstance(test, pytest.Function) for name in test.fixturenames}
    return next((name for name, fixtures in SHARED.items() if fixtures & taken), module)

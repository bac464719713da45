"""Which tests share a worker of pytest-xdist (docs/decisions/0042).

`make test` runs two workers. Each has session fixtures of its own, so tests that share a server which takes long to
start go to one worker: two Rays and two API servers beside each other would cost more than the second worker gains.
Every other module goes to the worker that is free.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    from collections.abc import Iterable

FILE: Final = pytest.StashKey[Path]()
# The first whose fixtures a module takes, by itself or through others.
SHARED: Final = {
    "ray": frozenset({"platform"}),
    "kubernetes": frozenset({"kubernetes"}),
    "openid": frozenset({"site", "strange"}),
}
# Modules that start Ray themselves: beside the platform's, but not two of them at once.
STARTS_RAY: Final = (
    "tests/capabilities/people/openid/test_whole_luna.py",
    "tests/capabilities/third/test_third.py",
    "tests/edge/test_killed_ingress.py",
    "tests/edge/test_serve_replica.py",
    "tests/local/test_up.py",
    "tests/telemetry/test_end_to_end.py",
    "tests/threats/",
)


def groups_of(items: Iterable[pytest.Item]) -> dict[str, str]:
    """The group of each module that is in one."""
    taken: dict[str, set[str]] = defaultdict(set)
    for item in items:
        taken[_module(item.nodeid)].update(item.fixturenames if isinstance(item, pytest.Function) else ())
    found = {module: _group(module, names) for module, names in taken.items()}
    return {module: group for module, group in found.items() if group is not None}


def _group(module: str, fixtures: set[str]) -> str | None:
    if module.startswith(STARTS_RAY):
        return "ray"
    return next((name for name, some in SHARED.items() if some & fixtures), None)


def _module(nodeid: str) -> str:
    return nodeid.partition("::")[0]


def file_of(config: pytest.Config) -> Path:
    """Where workers write their groups for the run's scheduler, which knows nothing of a test but its name."""
    if FILE not in config.stash:
        config.stash[FILE] = Path(tempfile.mkdtemp(prefix="luna-test-groups-")) / "groups.json"
    return config.stash[FILE]


def remove_file(config: pytest.Config) -> None:
    """At the end of the run: a worker that replaces one that died writes its groups, too."""
    if FILE in config.stash:
        shutil.rmtree(config.stash[FILE].parent, ignore_errors=True)


def hand_over(file: Path, worker: str, items: Iterable[pytest.Item]) -> None:
    """Write the groups, as every worker does."""
    own = file.with_name(worker)
    own.write_text(json.dumps(groups_of(items)))
    own.replace(file)


class GroupScheduling(LoadScopeScheduling):
    """Gives a worker a whole group, or a whole module that is in none."""

    def _split_scope(self, nodeid: str) -> str:
        module = _module(nodeid)
        return self._groups.get(module, module)

    @cached_property
    def _groups(self) -> dict[str, str]:
        groups: dict[str, str] = json.loads(file_of(self.config).read_text())
        return groups

"""A change that is interrupted or overtaken at any external call is finished, and nobody is locked out."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from kubernetes.client import ApiException
from tests.operator.operating import eventually
from tests.operator.resilience.calls import presented_key
from tests.operator.resilience.cutting import runs
from tests.operator.resilience.forked import ForkedOperator
from tests.operator.resilience.kube_api import is_gone

from luna_operator.resources.names import Key
from luna_store.accounts.api_keys import ApiKey, Peppers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.operator.operating import Surroundings
    from tests.operator.resilience.exact import Exactness
    from tests.operator.resilience.history import History
    from tests.operator.resilience.kube_api import KubeApi

# More steps than any change takes.
MOST = 60

ADMIN = {"email": "ada@example.com", "role": "admin"}


class Team:
    """One account that is changed and cut off."""

    def __init__(self, api: KubeApi, history: History, namespace: str, name: str) -> None:
        self.api, self.history = api, history
        self.key = Key(namespace, name)

    @property
    def body(self) -> dict[str, Any]:
        return self.api.account(*self.key)

    def create(self, **spec: Any) -> None:
        self.api.create_account(*self.key, spec)

    def edit(self, **spec: Any) -> None:
        self.api.edit_account(*self.key, spec)

    def rotate(self) -> None:
        asked = {"apiKey": {"rotationRequestedAt": "2026-11-21T00:00:00Z", "rotationOverlap": "1h"}}
        self.history.rotations[self.api.edit_account(*self.key, asked)["metadata"]["uid"]] += 1

    def delete(self) -> None:
        self.history.deleted(self.api.delete_account(*self.key))


CHANGES: dict[str, tuple[Callable[[Team], object], ...]] = {
    # What was there before, and was settled; the last is the change that is cut off.
    "created": (lambda team: team.create(quota={"limit": 7}),),
    "edited": (Team.create, lambda team: team.edit(quota={"limit": 8, "window": "Day"}, suspended=True)),
    "members": (
        lambda team: team.create(members=[ADMIN, {"email": "alan@example.com"}]),
        lambda team: team.edit(members=[ADMIN | {"role": "viewer"}, {"email": "grace@example.com"}]),
    ),
    "rotated": (Team.create, Team.rotate),
    "deleted": (lambda team: team.create(deletionPolicy="Delete"), Team.delete),
    "retained": (Team.create, Team.delete),
    "anew": (
        lambda team: team.create(members=[{"email": "ada@example.com"}]),
        Team.delete,
        lambda team: team.create(displayName="Back again", members=[{"email": "grace@example.com"}]),
    ),
}
ENDS = {"deleted", "retained"}


def opened(around: Surroundings, team: Team) -> bool | None:
    """Whether the key in the Secret opens the door, as far as Postgres knows; None if there is no Secret."""
    try:
        presented = ApiKey.parse(presented_key(team.api, team.body))
    except ApiException as e:
        if is_gone(e):
            return None
        raise
    [digest] = Peppers.parse(around.peppers).digests(presented)
    with psycopg.connect(around.database_url) as connection:
        found = connection.execute(
            """SELECT FROM api_keys k JOIN accounts a ON a.id = account_id
            WHERE digest = %s AND account_name = %s AND uid = %s
            AND revoked_at IS NULL AND coalesce(k.expires_at > now(), true)""",
            [digest, str(team.key), team.body["metadata"]["uid"]],
        )
        return found.rowcount == 1


async def cut_everywhere(around: Surroundings, make: Callable[[str], Team]) -> dict[str, int]:
    """Cut each change off at each of its points, another account each; returns how many points there were."""
    points = {}
    async with runs(around) as made:
        for change, (*before, last) in CHANGES.items():
            for at in range(MOST):
                team = make(f"{change}-{at}")
                for step in before:
                    step(team)
                    await made.reconcile(team.body)
                last(team)
                if await made.reconcile(team.body, at) < at:
                    # It came to its end.
                    points[change] = at
                    break
                if change not in ENDS:
                    assert opened(around, team) is not False, f"{change}: locked out by a cut at point {at}"
    return points


@contextmanager
def finished(around: Surroundings, folder: Path, exact: Exactness) -> Iterator[ForkedOperator]:
    """An operator that has made everything exact, and leaves it so."""
    with ForkedOperator(around, folder, sweep_s=1) as operator:
        eventually(exact.require, 90)
        operator.wait_swept(2)
        assert exact.differences() == []
        yield operator


def test_a_change_that_is_cut_off_anywhere_is_finished_by_the_next_run(
    around: Surroundings,
    namespace: str,
    api: KubeApi,
    exact: Exactness,
    history: History,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(around.kubeconfig))
    points = asyncio.run(cut_everywhere(around, lambda name: Team(api, history, namespace, name)))
    assert points.keys() == CHANGES.keys()
    # Fewer would mean that something is not cut: a key takes two requests and three transactions.
    assert min(points.values()) >= 12, points
    assert points["created"] >= 20, points
    with finished(around, tmp_path, exact) as operator:
        assert operator.metric("luna_operator_reconciles_total", result="error") == 0


async def overtake_everywhere(around: Surroundings, make: Callable[[str], Team]) -> dict[str, int]:
    """Let another replica do the whole of a change at each crossing of the first one's work; returns how many."""
    crossings = {}
    async with runs(around) as one, runs(around) as other:
        for change, (*before, last) in CHANGES.items():
            for at in range(MOST):
                team = make(f"{change}-{at}")
                for step in before:
                    step(team)
                    await one.reconcile(team.body)
                last(team)
                body = team.body
                # What one sees half before and half after the other is made good by one key more.
                team.history.rotations[body["metadata"]["uid"]] += 1
                if await one.held_up(body, at, partial(other.reconcile, body)) <= at:
                    crossings[change] = at
                    break
                if change not in ENDS:
                    assert opened(around, team) is not False, f"{change}: locked out by a look at point {at}"
    return crossings


def test_two_replicas_that_work_on_one_account_at_once_lock_nobody_out(
    around: Surroundings,
    namespace: str,
    api: KubeApi,
    exact: Exactness,
    history: History,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(around.kubeconfig))
    crossings = asyncio.run(overtake_everywhere(around, lambda name: Team(api, history, namespace, name)))
    assert crossings.keys() == CHANGES.keys()
    assert crossings["created"] >= 8, crossings
    with finished(around, tmp_path, exact):
        pass

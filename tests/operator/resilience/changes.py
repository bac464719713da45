"""Two hundred changes to Accounts and Tiers, of every kind, in an order that a seed decides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.operator.resilience.history import History

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.operator.resilience.kube_api import KubeApi

Spec = dict[str, Any]

# How many of each; edits take turns through EDITS.
FIRST_CREATED = 15
DECK = {"create": 35, "recreate": 10, "edit": 80, "rotate": 20, "tier": 15, "delete": 25}

MODELS = ("local_level", "local_linear_trend", "arima", "seasonal")
PEOPLE = ("ada", "alan", "grace", "edsger", "barbara")
CEASED = datetime(2026, 1, 1, tzinfo=UTC)


def _without_nulls(spec: Any) -> Any:
    """A null removes a field in a patch, and is refused in a new object."""
    if not isinstance(spec, dict):
        return spec
    return {name: _without_nulls(value) for name, value in spec.items() if value is not None}


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _models(random: Random) -> list[str]:
    return random.choice([["*"], random.sample(MODELS, random.randint(1, 3))])


def _members(random: Random) -> list[Spec]:
    """Some of them without a role."""
    roles = [{}, {"role": "viewer"}, {"role": "member"}, {"role": "admin"}]
    return [{"email": f"{name}@example.com", **random.choice(roles)} for name in random.sample(PEOPLE, 3)]


def _rate(random: Random) -> Spec:
    rate = random.choice([0.5, 7, 33.25, 200])
    return {"requestsPerSecond": rate, "burst": int(rate) + random.randint(1, 50)}


EDITS: dict[str, Callable[[Random], Spec]] = {
    "name": lambda random: {"displayName": f"Team {random.randint(0, 10**6)}"},
    "limit": lambda random: {"quota": {"limit": random.choice([0, 1, 10**9, random.randint(2, 5000)])}},
    "window": lambda random: {"quota": {"window": random.choice(["Day", "Month", "Lifetime"])}},
    "rate": lambda random: {"rateLimit": _rate(random)},
    "no rate": lambda _: {"rateLimit": None},
    "models": lambda random: {"allowedModels": _models(random)},
    "no models": lambda _: {"allowedModels": None},
    "lengths": lambda random: {"limits": {"maxSeriesLength": random.randint(1, 10**6), "historyDays": None}},
    "history": lambda random: {"limits": {"historyDays": random.randint(1, 900), "maxSeriesPerRequest": 64}},
    "suspend": lambda random: {"suspended": random.random() < 0.6},
    "expired": lambda random: {"expiresAt": _time(CEASED + timedelta(days=random.randint(0, 90)))},
    "expiring": lambda random: {"expiresAt": _time(datetime.now(UTC) + timedelta(days=random.randint(1, 400)))},
    "for ever": lambda _: {"expiresAt": None},
    "no overlap": lambda _: {"apiKey": {"rotationInterval": "2000h", "rotationOverlap": "0s"}},
    "overlap": lambda _: {"apiKey": {"rotationInterval": "0s", "rotationOverlap": "36h"}},
    "members": lambda random: {"members": _members(random)},
    "no members": lambda _: {"members": None},
    "retain": lambda _: {"deletionPolicy": "Retain"},
    "delete": lambda _: {"deletionPolicy": "Delete"},
}


class Changes:
    """Makes them, one after the other, and remembers in `history` what cannot be seen afterwards."""

    def __init__(self, api: KubeApi, namespace: str, tiers: list[str], random: Random) -> None:
        self._api = api
        self._namespace = namespace
        self._tiers = tiers
        self._random = random
        self._living: dict[str, str] = {}
        self._gone: list[str] = []
        self._made = 0
        self._asked = datetime.now(UTC) - timedelta(days=1)
        self._edits: list[str] = []
        self.history = History()
        self.deck = ["create"] * FIRST_CREATED + self._shuffled()

    def _shuffled(self) -> list[str]:
        deck = [kind for kind, count in DECK.items() for _ in range(count)]
        self._random.shuffle(deck)
        return deck

    def make(self, kind: str) -> None:
        """Make a change of that kind; if there is no Account yet, create one."""
        if kind == "tier":
            self._api.edit_tier(self._random.choice(self._tiers), self._tier_spec())
        elif kind == "recreate" and (name := self._free_name()):
            self._create(name)
        elif kind in {"create", "recreate"} or not self._living:
            self._made += 1
            self._create(f"team-{self._made:03}")
        elif kind == "delete":
            self._delete(self._random.choice(sorted(self._living)))
        elif kind == "rotate":
            self._rotate(self._random.choice(sorted(self._living)))
        else:
            self._edit(self._random.choice(sorted(self._living)))

    def _free_name(self) -> str | None:
        """A name that an Account had which is really gone by now; some still wait for the operator."""
        taken = {account["metadata"]["name"] for account in self._api.accounts()}
        free = [name for name in self._gone if name not in taken]
        if not free:
            return None
        self._gone.remove(name := self._random.choice(free))
        return name

    def _create(self, name: str) -> None:
        spec: Spec = {"deletionPolicy": self._random.choice(["Retain", "Delete"])}
        if self._random.random() < 0.6:
            spec["tier"] = self._random.choice(self._tiers)
        for edit in self._random.sample(sorted(EDITS), 2):
            spec = {**EDITS[edit](self._random), **spec}
        if self._random.random() < 0.2:
            spec["apiKey"] = {"secretName": f"key-of-{name}"}
        self._living[name] = self._api.create_account(self._namespace, name, _without_nulls(spec))["metadata"]["uid"]

    def _edit(self, name: str) -> None:
        if not self._edits:
            self._edits = [*EDITS, "tier", "no tier"]
            self._random.shuffle(self._edits)
        edit = self._edits.pop()
        tier = self._random.choice(self._tiers) if edit == "tier" else None
        spec = {"tier": tier} if edit in {"tier", "no tier"} else EDITS[edit](self._random)
        self._api.edit_account(self._namespace, name, spec)

    def _rotate(self, name: str) -> None:
        self._asked += timedelta(seconds=1)
        self.history.rotations[self._living[name]] += 1
        self._api.edit_account(self._namespace, name, {"apiKey": {"rotationRequestedAt": _time(self._asked)}})

    def _delete(self, name: str) -> None:
        self.history.deleted(self._api.delete_account(self._namespace, name))
        del self._living[name]
        self._gone.append(name)

    def _tier_spec(self) -> Spec:
        edit = self._random.choice(["limit", "window", "rate", "models", "lengths", "history"])
        return EDITS[edit](self._random)

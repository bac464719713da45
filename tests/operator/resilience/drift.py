"""Every way in which somebody may have a hand in what the operator keeps, one Account each."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
import redis
from kubernetes.client import ApiException
from tests.operator.resilience.kube_api import account_path, is_gone, secret_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.operator.operating import Surroundings
    from tests.operator.resilience.kube_api import KubeApi


@dataclass(frozen=True)
class Hand:
    """A hand that reaches one Account everywhere."""

    around: Surroundings
    api: KubeApi
    namespace: str
    name: str

    @property
    def secret(self) -> str:
        return secret_path(self.namespace, f"{self.name}-luna-key")

    @property
    def account_id(self) -> int:
        return self.api.account(self.namespace, self.name)["status"]["accountId"]

    def row(self, assignment: str) -> None:
        self.sql(f"UPDATE accounts SET {assignment} WHERE account_name = %(name)s")

    def key(self, change: str) -> None:
        """Change the current key."""
        self.sql(f"""{change} WHERE revoked_at IS NULL AND expires_at IS NULL
            AND account_id = (SELECT id FROM accounts WHERE account_name = %(name)s)""")

    def member(self, change: str, email: str) -> None:
        """Change a membership that the resource gave."""
        self.sql(f"""{change} WHERE source = 'resource' AND email = '{email}'
            AND account_id = (SELECT id FROM accounts WHERE account_name = %(name)s)""")

    def sql(self, statement: str) -> None:
        with psycopg.connect(self.around.database_url) as connection:
            assert connection.execute(statement, {"name": f"{self.namespace}/{self.name}"}).rowcount == 1

    def digest(self) -> str:
        with psycopg.connect(self.around.database_url) as connection:
            [digest] = connection.execute(
                "SELECT digest FROM api_keys WHERE account_id = %s AND expires_at IS NULL AND revoked_at IS NULL",
                [self.account_id],
            ).fetchone()
        return digest

    def redis(self, change: Callable[[redis.Redis, int], object]) -> None:
        with redis.Redis.from_url(self.around.redis_url, decode_responses=True) as client:
            assert change(client, self.account_id) is not None

    def data(self, **content: str | None) -> None:
        """Change the Secret's data."""
        coded = {name: None if text is None else b64encode(text.encode()).decode() for name, text in content.items()}
        self.api.merge(self.secret, {"data": {name.replace("_", "-"): text for name, text in coded.items()}})

    def secret_metadata(self, change: dict[str, Any]) -> None:
        self.api.merge(self.secret, {"metadata": change})

    def stolen_key(self) -> str:
        """The Secret's key of another Account."""
        other = self.api.request("GET", secret_path(self.namespace, "untouched-luna-key"))
        return other["data"]["api-key"]

    def status(self, status: dict[str, Any] | None) -> None:
        self.api.merge(account_path(self.namespace, self.name, "/status"), {"status": status})

    def delete_secret(self) -> None:
        self.api.request("DELETE", self.secret)

    def unfinalize(self) -> None:
        self.api.merge(account_path(self.namespace, self.name), {"metadata": {"finalizers": None}})


ROW: dict[str, Callable[[Hand], object]] = {
    "account-name": lambda hand: hand.row("account_name = 'nobody/' || id"),
    "display-name": lambda hand: hand.row("display_name = 'Somebody else'"),
    "tier": lambda hand: hand.row("tier = 'platinum'"),
    "state-suspended": lambda hand: hand.row("state = 'suspended'"),
    "state-revoked": lambda hand: hand.row("state = 'revoked'"),
    "quota-limit": lambda hand: hand.row("quota_limit = 1000000"),
    "quota-window": lambda hand: hand.row("quota_window = 'Day'"),
    "rate": lambda hand: hand.row("rate_per_second = 12.5"),
    "burst": lambda hand: hand.row("rate_burst = 1000"),
    "models": lambda hand: hand.row("allowed_models = '{arima}'"),
    "allowed": lambda hand: hand.row("""allowed = '{"indicators": ["*"]}'"""),
    "limits": lambda hand: hand.row("""limits = '{"history_days": 2}'"""),
    "expires-at": lambda hand: hand.row("expires_at = now() + interval '1 day'"),
    "expired": lambda hand: hand.row("expires_at = now() - interval '1 day'"),
    "max-series-length": lambda hand: hand.row("max_series_length = 1"),
    "max-series": lambda hand: hand.row("max_series_per_request = 1"),
    "history-days": lambda hand: hand.row("history_days = 1"),
}

# These Accounts have the members of MEMBERS_SPEC.
MEMBERS_SPEC = {"members": [{"email": "ada@example.com", "role": "admin"}, {"email": "alan@example.com"}]}
MEMBERS: dict[str, Callable[[Hand], object]] = {
    "member-removed": lambda hand: hand.member("DELETE FROM memberships", "ada@example.com"),
    "member-promoted": lambda hand: hand.member("UPDATE memberships SET role = 'admin'", "alan@example.com"),
    "member-renamed": lambda hand: hand.member("UPDATE memberships SET email = 'eve@example.com'", "alan@example.com"),
    "member-added": lambda hand: hand.sql("""INSERT INTO memberships (account_id, email, source, role)
        SELECT id, 'eve@example.com', 'resource', 'admin' FROM accounts WHERE account_name = %(name)s"""),
}

# The row seems another Account's, of the same name and gone since: it is taken up, with a new key.
TAKEN_UP: dict[str, Callable[[Hand], object]] = {
    "uid": lambda hand: hand.row("uid = gen_random_uuid()"),
}

# After these the Secret's key opens nothing any more, or the Secret does not hold one: another key is needed.
NEW_KEY: dict[str, Callable[[Hand], object]] = {
    "key-revoked": lambda hand: hand.key("UPDATE api_keys SET revoked_at = now()"),
    "key-deleted": lambda hand: hand.key("DELETE FROM api_keys"),
    "key-digest": lambda hand: hand.key("UPDATE api_keys SET digest = repeat('0', 60) || id"),
    "key-pepper": lambda hand: hand.key("UPDATE api_keys SET pepper_id = 'nobody has it'"),
    "key-retired": lambda hand: hand.key("UPDATE api_keys SET expires_at = now() + interval '1 hour'"),
    "secret-deleted": lambda hand: hand.delete_secret(),
    "secret-stolen-key": lambda hand: hand.api.merge(hand.secret, {"data": {"api-key": hand.stolen_key()}}),
    "secret-garbage": lambda hand: hand.data(api_key="\x00 no key \u2603"),
    "secret-empty": lambda hand: hand.data(api_key=""),
    "secret-no-key": lambda hand: hand.data(api_key=None),
    "secret-no-data": lambda hand: hand.api.merge(hand.secret, {"data": None}),
}

# The key in the Secret is right, so it stays.
SAME_KEY: dict[str, Callable[[Hand], object]] = {
    "key-pending": lambda hand: hand.key("UPDATE api_keys SET pending = true"),
    "secret-account-id": lambda hand: hand.data(account_id="1000000"),
    "secret-url": lambda hand: hand.data(url="http://somewhere.else.example"),
    "secret-no-labels": lambda hand: hand.secret_metadata({"labels": None}),
    "secret-label": lambda hand: hand.secret_metadata({"labels": {"luna.dev/account": "somebody"}}),
    "secret-managed-by": lambda hand: hand.secret_metadata({"labels": {"app.kubernetes.io/managed-by": "Helm"}}),
}

CACHE: dict[str, Callable[[Hand], object]] = {
    "hash-field": lambda hand: hand.redis(lambda client, i: client.hset(f"account:{{{i}}}", "quota_limit", 10**6)),
    "hash-state": lambda hand: hand.redis(lambda client, i: client.hset(f"account:{{{i}}}", "state", "suspended")),
    "hash-missing-field": lambda hand: hand.redis(lambda client, i: client.hdel(f"account:{{{i}}}", "allowed")),
    "hash-gone": lambda hand: hand.redis(lambda client, i: client.delete(f"account:{{{i}}}")),
    "hash-forged-key": lambda hand: hand.redis(
        lambda client, i: client.hset(f"account:{{{i}}}", "key:luna_forged00", f"{'0' * 64}:0")
    ),
    "quota-gone": lambda hand: hand.redis(lambda client, i: client.delete(f"user:{{{i}}}:quota")),
    "index-gone": lambda hand: hand.redis(lambda client, _: client.delete(f"key:{hand.digest()}")),
    "index-elsewhere": lambda hand: hand.redis(lambda client, i: client.set(f"key:{hand.digest()}", i + 1000)),
}

# The watch reports these; no sweep is needed.
WATCHED: dict[str, Callable[[Hand], object]] = {
    "status-wiped": lambda hand: hand.status(None),
    "status-lies": lambda hand: hand.status({"accountId": 10**6, "keys": [], "usage": None}),
    "conditions-gone": lambda hand: hand.status({"conditions": None}),
    "unfinalized": lambda hand: hand.unfinalize(),
}

DRIFTS = ROW | MEMBERS | TAKEN_UP | NEW_KEY | SAME_KEY | CACHE | WATCHED


def exists(api: KubeApi, path: str) -> bool:
    try:
        api.request("GET", path)
    except ApiException as e:
        if is_gone(e):
            return False
        raise
    return True

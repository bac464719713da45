"""Whether Postgres, Redis, the Secrets and the statuses are exactly what the Accounts and Tiers ask for.

Reads everything and lists every difference in words. Nobody may be calling: what is left of a quota is compared, too.
"""

from __future__ import annotations

from base64 import b64decode
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import redis
from psycopg.rows import dict_row, namedtuple_row
from tests.operator.operating import URL
from tests.operator.resilience import compared, expected

from luna_store.accounts.api_keys import ApiKey, MalformedKey, Peppers
from luna_store.quota.redis_image import COLUMNS, Mirror

if TYPE_CHECKING:
    from tests.operator.operating import Surroundings
    from tests.operator.resilience.history import History
    from tests.operator.resilience.kube_api import KubeApi

FINALIZER = "luna.dev/account"
LABELS = {"app.kubernetes.io/managed-by": "luna-operator"}
SECOND = timedelta(seconds=1)


@dataclass
class Stores:
    """What Postgres holds, at one instant."""

    rows: list[dict[str, Any]]
    keys: dict[int, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    """The live ones of each account, newest first."""
    members: dict[int, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    """The roles of each account that its resource gave, by address."""
    mirrors: list[Mirror] = field(default_factory=list)


class Exactness:
    """Compares.

    `obstacles` are the accounts that something keeps from being as specified, with Ready's reason; `forgotten` are
    digests that no row knows any more: their index entries lead to accounts that do not have them, and stay.
    """

    def __init__(self, api: KubeApi, around: Surroundings, history: History) -> None:
        self._api = api
        self._around = around
        self._history = history
        self._peppers = Peppers.parse(around.peppers)
        self.obstacles: dict[tuple[str, str], str] = {}
        self.forgotten: set[str] = set()

    def require(self) -> bool:
        """Fail with every difference, for `eventually`."""
        found = self.differences()
        assert not found, "\n".join(found)
        return True

    def differences(self) -> list[str]:
        """Everything that is not as specified; empty if all is."""
        accounts, tiers, secrets = self._api.accounts(), self._api.tiers(), self._api.secrets()
        stores = self._stores()
        by_uid = {str(row["uid"]): row for row in stores.rows}
        found: list[str] = []
        for account in accounts:
            name = f"{account['metadata']['namespace']}/{account['metadata']['name']}"
            row = by_uid.get(account["metadata"]["uid"])
            found += [f"{name}: {said}" for said in self._account(account, tiers, row, stores, secrets)]
        found += self._ended(accounts, stores)
        found += self._strays(accounts, secrets)
        found += [f"Tier {name}: {said}" for name, tier in tiers.items() for said in compared.in_tier(tier, accounts)]
        found += self._redis(stores)
        return found

    def _stores(self) -> Stores:
        with psycopg.connect(self._around.database_url, row_factory=dict_row) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            stores = Stores(connection.execute("SELECT * FROM accounts ORDER BY id").fetchall())
            live = "SELECT * FROM api_keys WHERE revoked_at IS NULL AND coalesce(expires_at > now(), true)"
            for key in connection.execute(f"{live} ORDER BY id DESC"):
                stores.keys[key["account_id"]].append(key)
            of_resources = "SELECT account_id, email, role FROM memberships WHERE source = 'resource'"
            for member in connection.execute(of_resources):
                stores.members[member["account_id"]][member["email"]] = member["role"]
            with connection.cursor(row_factory=namedtuple_row) as cursor:
                stores.mirrors = [Mirror.of(row) for row in cursor.execute(f"SELECT {COLUMNS} FROM accounts a")]
        return stores

    def _account(
        self,
        account: dict[str, Any],
        tiers: dict[str, Any],
        row: dict[str, Any] | None,
        stores: Stores,
        secrets: list[dict[str, Any]],
    ) -> list[str]:
        metadata = account["metadata"]
        if "deletionTimestamp" in metadata:
            return [f"is being deleted, held by {metadata.get('finalizers')}"]
        found = [] if FINALIZER in metadata.get("finalizers", ()) else ["has no finalizer"]
        obstacle = self.obstacles.get((metadata["namespace"], metadata["name"]))
        if obstacle == "TierNotFound":
            # The previous limits stay in effect.
            return found + compared.in_ready(account, obstacle)
        if row is None:
            return [*found, "has no row"]
        tier = tiers.get(account["spec"].get("tier", ""))
        found += compared.in_row(account, tier["spec"] if tier else None, row)
        if stores.members[row["id"]] != (wanted := expected.members(account)):
            found.append(f"its members are {stores.members[row['id']]}, not {wanted}")
        keys = stores.keys[row["id"]]
        if obstacle is None:
            found += self._keys(account, keys) + self._secret(account, row, keys, secrets)
            found += compared.in_status(account, row, keys)
        else:
            found += compared.in_ready(account, obstacle)
        return found

    def _keys(self, account: dict[str, Any], keys: list[dict[str, Any]]) -> list[str]:
        current = [key for key in keys if not key["pending"] and key["expires_at"] is None]
        retiring = [key for key in keys if not key["pending"] and key["expires_at"] is not None]
        found = [f"{len(current)} current keys"] if len(current) != 1 else []
        found += [f"the key {key['prefix']} is pending" for key in keys if key["pending"]]
        allowed = self._history.rotations[account["metadata"]["uid"]]
        if len(retiring) > allowed:
            found.append(f"{len(retiring)} keys retire after {allowed} rotations")
        asked = expected.instant(account["spec"].get("apiKey", {}).get("rotationRequestedAt"))
        if current and asked is not None and current[0]["rotation_requested_at"] != asked:
            found.append(f"the rotation asked for at {asked} was not carried out")
        return found

    def _secret(
        self, account: dict[str, Any], row: dict[str, Any], keys: list[dict[str, Any]], secrets: list[dict[str, Any]]
    ) -> list[str]:
        namespace, name = account["metadata"]["namespace"], expected.secret_name(account)
        here = (s["metadata"]["namespace"] == namespace and s["metadata"]["name"] == name for s in secrets)
        secret = next((s for s, fits in zip(secrets, here, strict=True) if fits), None)
        if secret is None:
            return [f"the Secret {name} is missing"]
        metadata, uid = secret["metadata"], account["metadata"]["uid"]
        data = {field: b64decode(value).decode() for field, value in (secret.get("data") or {}).items()}
        current = next((key for key in keys if not key["pending"] and key["expires_at"] is None), None)
        found = []
        if current is None or not self._opens(data.get("api-key", ""), current):
            found.append(f"the Secret does not hold the current key, {current and current['prefix']}")
        if (data.get("account-id"), data.get("url")) != (str(row["id"]), URL):
            found.append(f"the Secret leads to {data.get('account-id')} at {data.get('url')}")
        if set(data) != {"api-key", "account-id", "url"}:
            found.append(f"the Secret holds {sorted(data)}")
        if [o["uid"] for o in metadata.get("ownerReferences", ()) if o.get("controller")] != [uid]:
            found.append("the Secret belongs to somebody else")
        if not (LABELS | {"luna.dev/account": uid}).items() <= (metadata.get("labels") or {}).items():
            found.append(f"the Secret's labels are {metadata.get('labels')}")
        return found

    def _opens(self, presented: str, key: dict[str, Any]) -> bool:
        try:
            return self._peppers.matches(ApiKey.parse(presented), key["digest"], key["pepper_id"])
        except MalformedKey:
            return False

    def _ended(self, accounts: list[dict[str, Any]], stores: Stores) -> list[str]:
        """Rows without an Account: revoked where it was to be retained, none where it was to be deleted."""
        living = {a["metadata"]["uid"] for a in accounts}
        named = {f"{a['metadata']['namespace']}/{a['metadata']['name']}" for a in accounts}
        found, left = [], {}
        for row in stores.rows:
            if row["uid"] is None or str(row["uid"]) in living:
                continue
            left[row["account_name"]] = row
            if row["account_name"] in named:
                found.append(f"{row['account_name']}: two rows")
            if row["state"] != "revoked" or stores.keys[row["id"]]:
                found.append(
                    f"{row['account_name']}: deleted, but {row['state']} with {len(stores.keys[row['id']])} keys"
                )
            if row["cache_stale"]:
                found.append(f"{row['account_name']}: deleted, but still marked stale")
        for name, outcomes in self._history.outcomes().items():
            if name not in named and ("row" if name in left else "nothing") not in outcomes:
                found.append(f"{name}: {'kept' if name in left else 'not kept'}, which leaves {outcomes}")
        unasked = left.keys() - self._history.outcomes().keys() - named
        return found + [f"{name}: a row that nobody asked for" for name in unasked]

    def _strays(self, accounts: list[dict[str, Any]], secrets: list[dict[str, Any]]) -> list[str]:
        """Luna's Secrets without an Account, or in addition to its proper one."""
        wanted = {(a["metadata"]["namespace"], expected.secret_name(a), a["metadata"]["uid"]) for a in accounts}
        found = []
        for secret in secrets:
            metadata = secret["metadata"]
            labels = metadata.get("labels") or {}
            if not LABELS.items() <= labels.items():
                continue
            if (metadata["namespace"], metadata["name"], labels.get("luna.dev/account")) not in wanted:
                found.append(f"the Secret {metadata['namespace']}/{metadata['name']} belongs to no Account")
        return found

    def _redis(self, stores: Stores) -> list[str]:
        names = {row["id"]: row["account_name"] for row in stores.rows}
        wanted = {f"key:{key['digest']}": account_id for account_id, keys in stores.keys.items() for key in keys}
        found = []
        with redis.Redis.from_url(self._around.redis_url, decode_responses=True) as client:
            present = {key: client.get(key) for key in client.scan_iter("key:*", count=1000)}
            for key in (wanted.keys() | present.keys()) - {f"key:{digest}" for digest in self.forgotten}:
                owner, held = wanted.get(key), present.get(key)
                if held != (None if owner is None else str(owner)):
                    name = names.get(owner or int(held or 0), "nobody")
                    found.append(f"{name}: Redis' {key[:12]} leads to {held}, not {owner}")
            keys = {f"account:{{{i}}}" for i in names}
            keys |= {f"user:{{{i}}}:{part}" for i in names for part in ("quota", "rate", "events")}
            left = (key for pattern in ("account:*", "user:*") for key in client.scan_iter(pattern, count=1000))
            found += [f"nobody: Redis' {key} is left over" for key in left if key not in keys]
            for mirror in stores.mirrors:
                found += [f"{names[mirror.account_id]}: Redis' {said}" for said in _mirrored(client, mirror)]
        return found


def _mirrored(client: redis.Redis, mirror: Mirror) -> list[str]:
    now, account = datetime.now(UTC), mirror.account_id
    wanted = {name: str(value) for name, value in mirror.fields(now).items()}
    found = compared.in_hash(wanted, client.hgetall(f"account:{{{account}}}"), now)
    if client.xlen(f"user:{{{account}}}:events"):
        found.append("events are not settled")
    if (left := client.get(f"user:{{{account}}}:quota")) != str(mirror.left):
        found.append(f"quota is {left}, not {mirror.left}")
    return found

"""Luna as a platform team installs it: CRDs, an operator with the chart's rights, an ingress on the same stores."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import redis
import yaml
from kubernetes.client import ApiClient, AuthorizationV1Api, CoreV1Api, CustomObjectsApi, EventsV1Api
from kubernetes.config import new_client_from_config
from psycopg.rows import dict_row
from tests.operator.operating import Operator, Surroundings, eventually
from tests.operator.resilience.forked import ForkedOperator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.kubernetes import Kubernetes
    from tests.serving.platform import Luna

CHART = Path(__file__).resolve().parents[3] / "charts" / "luna"

# Longer than any run: a test sees what the watch reported, not what a sweep found.
NO_SWEEP_S = 3600
USAGE_S = 0.3


@dataclass(frozen=True)
class Access:
    """The operator's to the API server."""

    kubeconfig: Path
    user: str
    """Its service account, as the API server calls it."""
    role: str
    """The ClusterRole that its service account is bound to."""


class Installation:
    """What the tests of the folder share: the cluster, the stores, the ingress, and the operator that runs now."""

    def __init__(self, cluster: Kubernetes, luna: Luna, access: Access, folder: Path) -> None:
        """Connect; the operator is started by `start`.

        Args:
            cluster: with Luna's CRDs, and all rights.
            luna: an ingress; its stores are the operator's.
            access: the operator's own to the cluster.
            folder: takes the operator's log.
        """
        self.cluster, self.luna, self._access, self._folder = cluster, luna, access, folder
        self.around = Surroundings(access.kubeconfig, luna.database_url, luna.redis_url, luna.peppers)
        api: ApiClient = new_client_from_config(str(cluster.kubeconfig))
        self.custom, self.core, self.events = CustomObjectsApi(api), CoreV1Api(api), EventsV1Api(api)
        self.sql = psycopg.connect(luna.database_url, autocommit=True, row_factory=dict_row)
        self.redis: redis.Redis[str] = redis.Redis.from_url(luna.redis_url, decode_responses=True)
        self.operator: Operator
        # What the API server refused the operators that ended; and what of it for rights that tests took away.
        self.refused: Counter[str] = Counter()
        self.pardoned: Counter[str] = Counter()

    def start(self, kind: type[Operator] = Operator, **settings: object) -> Operator:
        """Start an operator that does nothing but what the watch tells, unless `settings` say otherwise."""
        given = {"public_url": self.luna.url, "sweep_s": NO_SWEEP_S, "usage_s": USAGE_S, **settings}
        self.operator = kind(self.around, self._folder, **given).wait_ready().wait_leading()
        eventually(lambda: self.operator.metric("luna_operator_sweep_seconds_count") >= 1)
        return self.operator

    def stop(self) -> None:
        """End the operator as Kubernetes does; keeps what the API server refused it."""
        self.refused += forbidden(self.operator)
        assert self.operator.stop() == 0, self.operator.process.log_tail()

    @contextmanager
    def another(self, **settings: object) -> Iterator[Operator]:
        """An operator with other settings in the place of the running one, for a while."""
        self.stop()
        try:
            yield self.start(ForkedOperator, **settings)
        finally:
            self.stop()
            self.start(ForkedOperator)

    def call(self, account_id: int, key: str) -> httpx.Response:
        """Call with a key that is in no Secret (any more)."""
        url = f"{self.luna.url}/api/v1/{account_id}/kalman"
        return httpx.post(url, headers={"X-API-Key": key}, json={"results": [1.0]}, timeout=60)

    def may(self, verb: str, group: str, resource: str) -> bool:
        """Whether the operator's service account has a right in all namespaces."""
        name, _, subresource = resource.partition("/")
        asked = {"verb": verb, "group": group, "resource": name, "subresource": subresource}
        body = {"spec": {"user": self._access.user, "resourceAttributes": asked}}
        review = AuthorizationV1Api(self.core.api_client).create_subject_access_review(body)
        return bool(review.status.allowed)

    @contextmanager
    def without_right_to(self, resource: str) -> Iterator[None]:
        """Take the operator's rights to a resource away for a while."""
        before = forbidden(self.operator)
        role = self.cluster.get("clusterrole", self._access.role)
        kept = [rule for rule in role["rules"] if resource not in rule["resources"]]
        assert kept != role["rules"]
        try:
            self._set_rules(kept)
            yield
        finally:
            self._set_rules(role["rules"])
            eventually(lambda: self.may("get", "", resource))
            self.pardoned += forbidden(self.operator) - before

    def _set_rules(self, rules: list[dict[str, Any]]) -> None:
        patch = json.dumps({"rules": rules})
        self.cluster.kubectl("patch", "clusterrole", self._access.role, "--type=merge", "--patch", patch)

    @property
    def log(self) -> Path:
        """What every operator of the folder has said."""
        return self.operator.log

    def close(self) -> None:
        """Close the connections."""
        self.sql.close()
        self.redis.close()


def forbidden(operator: Operator) -> Counter[str]:
    """The requests that the API server has refused for want of a right, by `<verb> <resource> <code>`."""
    return Counter({request: n for request, n in operator.requests().items() if request.split()[-1] in {"401", "403"}})


@contextmanager
def chart_access(cluster: Kubernetes) -> Iterator[Access]:
    """Exactly the rights that the chart gives its operator."""
    with cluster.namespace("luna-system") as namespace:
        rendered = cluster.helm(
            "template", "luna", CHART, "--namespace", namespace, "--show-only", "templates/operator/rbac.yaml"
        )
        objects: list[dict[str, Any]] = [body for body in yaml.safe_load_all(rendered) if body]
        cluster.kubectl("apply", "--namespace", namespace, "-f", "-", input=yaml.safe_dump_all(objects))
        try:
            names = {body["kind"]: body["metadata"]["name"] for body in objects}
            kubeconfig = cluster.service_account_kubeconfig(namespace, names["ServiceAccount"])
            user = f"system:serviceaccount:{namespace}:{names['ServiceAccount']}"
            yield Access(kubeconfig, user, names["ClusterRole"])
        finally:
            cluster.kubectl("delete", "--namespace", namespace, "-f", "-", input=yaml.safe_dump_all(objects))

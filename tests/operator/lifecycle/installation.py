"""Luna as a platform team installs it: CRDs, an operator with the chart's rights, and an ingress, on the same stores."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import redis
import yaml
from kubernetes.client import ApiClient, CoreV1Api, CustomObjectsApi, EventsV1Api
from kubernetes.config import new_client_from_config
from psycopg.rows import dict_row
from tests.operator.operating import Operator, Surroundings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.kubernetes import Kubernetes
    from tests.ingress.platform import Luna

CHART = Path(__file__).resolve().parents[3] / "charts" / "luna"

# Never, beside the length of a run: what a test sees is what the watch told, not what a sweep happened to find.
NO_SWEEP_S = 3600
USAGE_S = 0.3


class Installation:
    """What the tests of the folder share: the cluster, the stores, the ingress, and the operator that runs now."""

    def __init__(self, cluster: Kubernetes, luna: Luna, kubeconfig: Path, folder: Path) -> None:
        """Connect; the operator is started by `start`.

        Args:
            cluster: with Luna's CRDs, and all rights.
            luna: an ingress; its stores are the operator's.
            kubeconfig: the operator's own access to the cluster.
            folder: takes the operator's log.
        """
        self.cluster, self.luna, self._folder = cluster, luna, folder
        self.around = Surroundings(kubeconfig, luna.database_url, luna.redis_url, luna.peppers)
        api: ApiClient = new_client_from_config(str(cluster.kubeconfig))
        self.custom, self.core, self.events = CustomObjectsApi(api), CoreV1Api(api), EventsV1Api(api)
        self.sql = psycopg.connect(luna.database_url, autocommit=True, row_factory=dict_row)
        self.redis: redis.Redis[str] = redis.Redis.from_url(luna.redis_url, decode_responses=True)
        self.operator: Operator
        # The operators that ended, by what they were refused.
        self.refused: dict[str, int] = {}

    def start(self, **settings: object) -> Operator:
        """Start an operator that does nothing but what the watch tells, unless `settings` say otherwise."""
        given = {"public_url": self.luna.url, "sweep_s": NO_SWEEP_S, "usage_s": USAGE_S, **settings}
        self.operator = Operator(self.around, self._folder, **given).wait_ready().wait_leading()
        return self.operator.wait_swept(0)

    def stop(self) -> None:
        """End the operator as Kubernetes does; keeps what the API server refused it."""
        self.refused |= forbidden(self.operator)
        assert self.operator.stop() == 0, self.operator.process.log_tail()

    @contextmanager
    def another(self, **settings: object) -> Iterator[Operator]:
        """An operator with other settings in the place of the running one, for a while."""
        self.stop()
        try:
            yield self.start(**settings)
        finally:
            self.stop()
            self.start()

    @property
    def log(self) -> Path:
        """What every operator of the folder has said."""
        return self.operator.log

    def close(self) -> None:
        """Close the connections."""
        self.sql.close()
        self.redis.close()


def forbidden(operator: Operator) -> dict[str, int]:
    """The requests that the API server has refused for want of a right, by `<verb> <resource> <code>`."""
    return {request: n for request, n in operator.requests().items() if request.split()[-1] in {"401", "403"}}


@contextmanager
def chart_access(cluster: Kubernetes) -> Iterator[Path]:
    """A kubeconfig with exactly the rights that the chart gives its operator."""
    with cluster.namespace("luna-system") as namespace:
        rendered = cluster.helm(
            "template", "luna", CHART, "--namespace", namespace, "--show-only", "templates/operator/rbac.yaml"
        )
        objects: list[dict[str, Any]] = [body for body in yaml.safe_load_all(rendered) if body]
        cluster.kubectl("apply", "--namespace", namespace, "-f", "-", input=yaml.safe_dump_all(objects))
        try:
            [account] = [body["metadata"]["name"] for body in objects if body["kind"] == "ServiceAccount"]
            yield cluster.service_account_kubeconfig(namespace, account)
        finally:
            cluster.kubectl("delete", "--namespace", namespace, "-f", "-", input=yaml.safe_dump_all(objects))

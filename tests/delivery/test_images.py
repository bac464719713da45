"""Both images, built and run as the chart runs them: any UID, a read-only root, no capabilities.

Minutes, and it needs podman or docker and a registry; `.ci/images` does without the latter.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.delivery.engine import TAG, Container, ContainerFailedError, Engine, environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SERVING, OPERATOR = "luna-serving", "luna-operator"
STORES = Path(__file__).parent / "stores.py"
# What the chart sets for Ray's pods, as far as it decides what runs; see docs/configuration.md.
RAY = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": "268435456",
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "luna_serving.edge.middleware:middlewares",
    "LUNA_KALMAN_WARM_STATES": "2",
}
APPLICATION = """\
http_options: {host: 127.0.0.1, port: 8000}
applications:
- {name: luna, route_prefix: /, import_path: "luna_serving.app:build"}
"""


@pytest.fixture(scope="module")
def engine() -> Engine:
    engine = Engine.found()
    engine.build()
    return engine


@pytest.fixture(scope="module")
def stores(engine: Engine) -> Iterator[tuple[tuple[str, ...], dict[str, str]]]:
    """Options of a container next to Postgres and Valkey, and the environment of a Luna in it."""
    mount = f"--volume={STORES}:/stores.py:ro"
    with engine.running(SERVING, "python", "/stores.py", options=("--network=none", mount)) as container:
        yield (f"--network=container:{container.id}",), container.printed(seconds=60)


@pytest.fixture(scope="module")
def migrated(engine: Engine, stores: tuple[tuple[str, ...], dict[str, str]]) -> str:
    network, variables = stores
    return engine.run(OPERATOR, "luna", "migrate", options=(*network, *environment(variables)))


@pytest.fixture(scope="module")
def head(engine: Engine, stores: tuple[tuple[str, ...], dict[str, str]], migrated: str) -> Iterator[Container]:
    """A Ray head, started as KubeRay starts it, with the application."""
    assert migrated
    network, variables = stores
    start = (
        "ulimit -n $(ulimit -Hn); ray start --head --block --node-ip-address=127.0.0.1 --dashboard-host=127.0.0.1 "
        "--num-cpus=2 --object-store-memory=200000000"
    )
    options = (*network, "--shm-size=512m", *environment(variables | RAY))
    with engine.running(SERVING, "bash", "-lc", start, options=options) as container:
        container.wait_until("ray", "health-check", "--address=127.0.0.1:6379", seconds=120)
        container.exec("bash", "-c", f"cat > /tmp/application.yaml <<'EOF'\n{APPLICATION}EOF")
        container.wait_until("serve", "deploy", "--address=http://127.0.0.1:8265", "/tmp/application.yaml", seconds=60)
        yield container


def test_the_operators_image_migrates_a_real_database(migrated: str):
    assert "at revision" in migrated


def test_the_operators_image_holds_the_operator(engine: Engine):
    assert "Reconciles" in engine.run(OPERATOR, "luna-operator", "--help")


def test_the_operator_says_what_it_lacks(engine: Engine):
    public = environment({"LUNA_OPERATOR_PUBLIC_URL": "http://luna.example"})
    with pytest.raises(ContainerFailedError, match="DATABASE_URL"):
        engine.run(OPERATOR, "luna-operator", options=("--network=none", *public))


def test_the_operators_image_has_neither_ray_nor_jax_and_luna_up_says_so(engine: Engine):
    for module in ("ray", "jax", "numpy"):
        with pytest.raises(ContainerFailedError, match="No module named"):
            engine.run(OPERATOR, "python", "-c", f"import {module}")
    with pytest.raises(ContainerFailedError, match="serving extra"):
        engine.run(OPERATOR, "luna", "up")


@pytest.mark.parametrize("image", [SERVING, OPERATOR])
def test_nothing_that_builds_is_left(engine: Engine, image: str):
    found = engine.run(
        image, "bash", "-c", "for p in pip pip3 gcc cc make git uv hatchling; do command -v $p; done; true"
    )
    assert found == ""


@pytest.mark.parametrize("image", [SERVING, OPERATOR])
def test_all_of_python_was_compiled_when_the_image_was_built(engine: Engine, image: str):
    package = {SERVING: "ray.serve", OPERATOR: "kopf"}[image]
    trace = engine.run(image, "python", "-v", "-c", f"import {package}, luna_serving.cli")
    source = [line for line in trace.splitlines() if line.startswith("# code object from") and line.endswith(".py")]
    assert "matches" in trace
    assert source == []


@pytest.mark.parametrize("image", [SERVING, OPERATOR])
def test_the_images_own_user_has_an_entry(engine: Engine, image: str):
    """Without --user: what a plain `docker run` and a chart that names no user get."""
    script = "id --user; getent passwd luna"
    entry = engine.call("run", "--rm", "--network=none", f"{image}:{TAG}", "sh", "-c", script)
    assert entry.split() == ["10001", "luna:x:10001:10001::/home/luna:/bin/sh"]


def test_the_probes_of_kuberay_succeed(head: Container):
    """Word for word those of KubeRay 1.5 and 1.6 (ray-operator, controllers/ray/utils/constant.go)."""
    for port, path in ((52365, "api/local_raylet_healthz"), (8265, "api/gcs_healthz"), (8000, "-/healthz")):
        probe = f"wget --tries 1 -T 5 -q -O- http://localhost:{port}/{path} | grep success"
        head.wait_until("bash", "-c", probe, seconds=60)
    python = "import urllib.request; r=urllib.request.urlopen('http://localhost:8265/api/gcs_healthz', timeout=5)"
    head.exec("python", "-c", f"{python}; exit(0 if b'success' in r.read() else 1)")


def test_the_autoscaler_runs_from_the_serving_image(engine: Engine):
    script = "import ray.autoscaler._private.kuberay.run_autoscaler, ray.autoscaler.v2.monitor"
    assert "Error" not in engine.run(SERVING, "python", "-c", script)
    assert "--cluster-name" in engine.run(SERVING, "bash", "-c", "ray kuberay-autoscaler --help")


def test_a_call_is_answered_on_a_read_only_root_as_any_user(head: Container):
    head.wait_until("wget", "-q", "-O-", "http://127.0.0.1:8000/health/live", seconds=120)
    head.wait_until("wget", "-q", "-O-", "http://127.0.0.1:8000/health/ready", seconds=180)
    account = json.loads(head.exec("luna", "account", "create", "team/image", "--json"))
    answer = head.exec(
        *("wget", "-q", "-O-", f"--header=X-API-Key: {account['api_key']}", "--header=Content-Type: application/json"),
        *("--post-data", '{"results": [1120, 1160]}', f"http://127.0.0.1:8000/api/v1/{account['id']}/kalman"),
    )
    assert json.loads(answer)["processed_results"][0] == 1120.0
    assert head.exec("id", "--user") == "23456\n"
    # What XLA compiled stays for the pod's other replicas.
    assert "cache" in head.exec("ls", "/tmp/cache/jax")

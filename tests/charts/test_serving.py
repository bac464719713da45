"""The RayService: what Ray, Serve and KubeRay make of it."""

from __future__ import annotations

import math
import os
import re
import subprocess
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
import ray
import yaml
from ray.serve.schema import ServeDeploySchema
from tests.charts.rendering import CASES, CHART, containers, environment, of_kind, only, parsed, rendered, template

from luna_serving.app import CAPABILITIES, build
from luna_serving.local.loopback.ray_environment import ray_environment
from luna_serving.settings import read_settings, variables

GROUPS = {each.name: each.settings for each in CAPABILITIES}
PYPROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
# For one machine: they keep ports closed and two Lunas apart; a cluster has network policies and pods for that.
OF_ONE_MACHINE = {
    "RAY_AUTH_MODE",
    "RAY_AUTH_TOKEN_PATH",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER",
    "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT",
    "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT",
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT",
    "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT",
    # Load balancers need their time to forget a worker: Serve's own 30 s.
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S",
}


def service(case: str) -> dict[str, Any]:
    return only(rendered(case), "RayService")["spec"]


def groups(case: str) -> dict[str, dict[str, Any]]:
    return {group["groupName"]: group for group in service(case)["rayClusterConfig"]["workerGroupSpecs"]}


def ray_containers(case: str) -> list[dict[str, Any]]:
    head = service(case)["rayClusterConfig"]["headGroupSpec"]
    return [group["template"]["spec"]["containers"][0] for group in [head, *groups(case).values()]]


@pytest.mark.parametrize("case", CASES)
def test_serve_takes_the_configuration_and_the_application_its_arguments(case: str) -> None:
    config = ServeDeploySchema.model_validate(yaml.safe_load(service(case)["serveConfigV2"]))
    [application] = config.applications
    assert (application.import_path, application.route_prefix) == ("luna_serving.app:build", "/")
    # An argument that is no setting is refused.
    assert read_settings(GROUPS, application.args)
    assert build(application.args)


def test_serves_replicas_scale_between_their_bounds() -> None:
    [application] = yaml.safe_load(service("production")["serveConfigV2"])["applications"]
    ingress = build(application["args"])._bound_deployment
    assert (ingress._deployment_config.autoscaling_config.min_replicas) == 3
    assert (ingress._deployment_config.autoscaling_config.max_replicas) == 24


def deployments(case: str) -> dict[str, Any]:
    """The Serve deployments that the application of a case is built of, by name."""
    found: dict[str, Any] = {}

    def collect(application: Any) -> None:
        deployment = application._bound_deployment
        if deployment.name not in found:
            found[deployment.name] = deployment
            inner = [*deployment.init_args, *deployment.init_kwargs.values()]
            for each in inner:
                nested = each.values() if isinstance(each, dict) else each if isinstance(each, tuple | list) else [each]
                for one in nested:
                    for bound in one if isinstance(one, tuple | list) else [one]:
                        if hasattr(bound, "_bound_deployment"):
                            collect(bound)

    collect(build(yaml.safe_load(service(case)["serveConfigV2"])["applications"][0]["args"]))
    return found


@pytest.mark.parametrize("case", CASES)
def test_a_lost_worker_takes_no_more_replicas_than_it_must(case: str) -> None:
    scaling = service(case)["rayClusterConfig"]["enableInTreeAutoscaling"]
    most = {
        name: max(1, group["maxReplicas"] if scaling else group["replicas"]) for name, group in groups(case).items()
    }
    spread = 0
    for name, deployment in deployments(case).items():
        config = deployment._replica_config
        autoscaling = deployment._deployment_config.autoscaling_config
        replicas = autoscaling.max_replicas if autoscaling else deployment.num_replicas
        if name == "metrics" or name.startswith("metrics-shard-") or name == "workers":
            continue
        workers = most["gpu" if config.ray_actor_options.get("num_gpus") else "cpu"]
        per_node = config.max_replicas_per_node
        # All of them find room on the most workers, and with one fewer per worker they would not.
        assert per_node * workers >= replicas
        assert (per_node - 1) * workers < replicas
        spread += 1
    assert spread >= 2


@pytest.mark.parametrize("case", CASES)
def test_the_most_workers_have_room_for_the_fewest_replicas(case: str) -> None:
    scaling = service(case)["rayClusterConfig"]["enableInTreeAutoscaling"]
    room = 0
    for group in groups(case).values():
        requested = str(group["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"])
        # What KubeRay tells Ray of a container without a limit: its request, rounded up to whole cores.
        cores = math.ceil(float(requested.removesuffix("m")) / (1000 if requested.endswith("m") else 1))
        room += cores * (group["maxReplicas"] if scaling else group["replicas"])
    wanted = 0.0
    for deployment in deployments(case).values():
        autoscaling = deployment._deployment_config.autoscaling_config
        replicas = autoscaling.min_replicas if autoscaling else deployment.num_replicas
        wanted += replicas * deployment._replica_config.ray_actor_options.get("num_cpus", 1)
    assert wanted <= room


def test_two_workers_with_two_replicas_of_everything_have_one_of_each() -> None:
    values = {
        "serving.autoscaler.enabled": "false",
        "serving.workers.cpu.min": 2,
        "serving.background.replicas": 2,
        "serving.background.replicasMax": 2,
        **{
            f"serving.{name}.replicas.{bound}": 2
            for name in ("ingress", "capabilities.kalman")
            for bound in ("min", "max")
        },
    }
    manifests = parsed(template("--set", ",".join(f"{name}={value}" for name, value in values.items())))
    [application] = yaml.safe_load(only(manifests, "RayService")["spec"]["serveConfigV2"])["applications"]
    args = application["args"]
    assert [args[name]["replicas_per_node"] for name in ("edge", "kalman", "workers")] == [1, 1, 1]


def test_the_fewest_replicas_of_production_never_stand_on_one_worker() -> None:
    args = yaml.safe_load(service("production")["serveConfigV2"])["applications"][0]["args"]
    for name in ("edge", "kalman"):
        assert args[name]["replicas_min"] > args[name]["replicas_per_node"]


def test_settings_reach_the_application_as_they_are_written() -> None:
    [application] = yaml.safe_load(service("everything")["serveConfigV2"])["applications"]
    args = application["args"]
    assert (args["edge"]["request_timeout_s"], args["edge"]["log_requests"]) == (60, True)
    assert args["kalman"]["max_stored_model_bytes"] == 268435456
    assert args["hosts"] == {"compute": ["kalman"]}


@pytest.mark.parametrize(("case", "seconds"), [("default", 30), ("everything", 60)])
def test_haproxy_knows_the_deadline_of_the_edge(case: str, seconds: int) -> None:
    [application] = yaml.safe_load(service(case)["serveConfigV2"])["applications"]
    assert read_settings(GROUPS, application["args"]).platform.edge.request_timeout_s == seconds
    for container in ray_containers(case):
        assert environment(container)["LUNA_EDGE_REQUEST_TIMEOUT_S"] == str(seconds)


def test_haproxy_knows_which_routes_it_may_send_again() -> None:
    [application] = yaml.safe_load(service("everything")["serveConfigV2"])["applications"]
    for container in ray_containers("everything"):
        routes = environment(container)["LUNA_EDGE_RETRIED_ROUTES"]
        assert routes.split(",") == application["args"]["edge"]["retried_routes"]
    assert all("LUNA_EDGE_RETRIED_ROUTES" not in environment(container) for container in ray_containers("default"))


def test_what_answers_in_front_of_the_application_knows_which_pages_may_read() -> None:
    [application] = yaml.safe_load(service("everything")["serveConfigV2"])["applications"]
    for container in ray_containers("everything"):
        given = environment(container)
        assert given["LUNA_CORS_ORIGINS"].split(",") == application["args"]["cors"]["origins"]
        assert given["LUNA_CORS_CREDENTIALS"] == "true"
    assert all("LUNA_CORS_ORIGINS" not in environment(container) for container in ray_containers("default"))


@pytest.mark.parametrize("case", CASES)
def test_every_ray_process_has_the_environment_that_luna_up_gives(case: str, tmp_path: Any) -> None:
    local = ray_environment({}, tmp_path, "haproxy", None, cores=8)
    shared = {name: value for name, value in local.items() if name not in OF_ONE_MACHINE}
    # One machine compiles little, people read its logs and try receivers out, and nothing reads Ray's metrics there.
    for tuned in (
        "LUNA_HOSTS",
        "LUNA_WEBHOOKS_ALLOW_HTTP",
        "LUNA_WEBHOOKS_ALLOW_NETWORKS",
        "LUNA_LOG_FORMAT",
        "RAY_SERVE_HAPROXY_METRICS_ENABLED",
        "RAY_enable_metrics_collection",
    ):
        del shared[tuned]
    for container in ray_containers(case):
        given = environment(container)
        assert {name: given.get(name) for name in shared} == shared
        # Ray lowers its workers' priority by 15: below every other program of the node.
        assert given["RAY_worker_niceness"] == "0"
        # The script of the package that the image installs into /opt/luna.
        program = Path(given["RAY_SERVE_HAPROXY_BINARY_PATH"])
        assert program.parent == Path("/opt/luna/bin")
        assert program.name in PYPROJECT["project"]["scripts"]
        assert given["JAX_COMPILATION_CACHE_DIR"].startswith(given["XDG_CACHE_HOME"])


@pytest.mark.parametrize("case", CASES)
def test_the_models_to_compile_are_a_setting_of_the_capability(case: str) -> None:
    args = yaml.safe_load(service(case)["serveConfigV2"])["applications"][0]["args"]
    assert args["kalman"]["warm_states"] == (2 if case == "dev" else 64)


@pytest.mark.parametrize("case", CASES)
def test_every_luna_setting_that_a_pod_gets_is_one_of_the_application(case: str) -> None:
    known = {name for name, _ in variables(GROUPS)} | {"LUNA_PEPPERS", "LUNA_CLIENT_SECRETS"}
    for container in ray_containers(case):
        assert {name for name in environment(container) if name.startswith("LUNA_")} <= known


@pytest.mark.parametrize("case", CASES)
def test_no_replica_finds_room_on_the_head(case: str) -> None:
    spec = service(case)
    assert spec["excludeHeadPodFromServeSvc"] is True
    assert spec["rayClusterConfig"]["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    args = yaml.safe_load(spec["serveConfigV2"])["applications"][0]["args"]
    assert args["edge"]["cpus"] > 0
    assert args["kalman"]["cpus"] > 0


@pytest.mark.parametrize("case", CASES)
def test_a_worker_offers_the_cores_that_a_replica_asks_for(case: str) -> None:
    args = yaml.safe_load(service(case)["serveConfigV2"])["applications"][0]["args"]
    for name, group in groups(case).items():
        resources = group["template"]["spec"]["containers"][0]["resources"]["requests"]
        offered = cores(resources["cpu"])
        assert offered >= args["kalman"]["cpus"]
        assert offered >= args["edge"]["cpus"]
        if name == "gpu":
            assert resources["nvidia.com/gpu"] >= args["kalman"]["gpus"] > 0


def cores(quantity: str) -> float:
    # As KubeRay does (Quantity.Value), rounded up to whole cores.
    return -(-int(quantity[:-1]) // 1000) if quantity.endswith("m") else int(quantity)


@pytest.mark.parametrize("case", CASES)
def test_the_smallest_cluster_has_room_for_the_fewest_replicas(case: str) -> None:
    args = yaml.safe_load(service(case)["serveConfigV2"])["applications"][0]["args"]
    room = {
        name: group["minReplicas"] * cores(group["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"])
        for name, group in groups(case).items()
    }
    needed = args["edge"]["replicas_min"] * args["edge"]["cpus"]
    kalman = args["kalman"]["replicas_min"] * args["kalman"]["cpus"]
    if args["kalman"]["gpus"] == 0:
        needed += kalman
    assert room["cpu"] >= needed


@pytest.mark.parametrize("case", ["default", "dev", "production"])
def test_the_largest_cluster_has_room_for_the_most_replicas(case: str) -> None:
    args = yaml.safe_load(service(case)["serveConfigV2"])["applications"][0]["args"]
    [workers] = groups(case).values()
    offered = cores(workers["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"])
    scaled = [group for group in args.values() if isinstance(group, dict) and "replicas_max" in group]
    # The ingress, the workers, and the capabilities that compute.
    assert len(scaled) == 2 + sum(capability.replica is not None for capability in CAPABILITIES)
    needed = sum(group["replicas_max"] * group["cpus"] for group in scaled)
    assert workers["maxReplicas"] * offered >= needed


def test_the_chart_names_the_version_of_ray_that_is_installed() -> None:
    assert service("default")["rayClusterConfig"]["rayVersion"] == ray.__version__


@pytest.mark.parametrize("case", CASES)
def test_rays_ports_ask_for_a_token(case: str) -> None:
    assert service(case)["rayClusterConfig"]["authOptions"] == {"mode": "token"}
    for container in ray_containers(case):
        # KubeRay sets them.
        assert not {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN"} & environment(container).keys()


@pytest.mark.parametrize("case", CASES)
def test_kuberay_takes_the_cluster(case: str) -> None:
    """What KubeRay 1.5.1 refuses or breaks on (utils.ValidateRayClusterSpec, common.BuildServiceForHeadPod)."""
    cluster = service(case)["rayClusterConfig"]
    head = cluster["headGroupSpec"]["template"]
    assert "restartPolicy" not in head["spec"]  # autoscaler v2 wants Never, and sets it
    assert {port["name"] for port in head["spec"]["containers"][0]["ports"]} >= {"serve", "dashboard", "gcs-server"}
    for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        # The head's Service selects app.kubernetes.io/name=kuberay, regardless of the pod's labels.
        assert "app.kubernetes.io/name" not in group["template"]["metadata"]["labels"]
    given = environment(head["spec"]["containers"][0])
    assert not {"RAY_REDIS_ADDRESS", "REDIS_PASSWORD", "RAY_enable_autoscaler_v2"} & given.keys()


@pytest.mark.parametrize("case", CASES)
def test_two_ray_clusters_of_an_upgrade_keep_their_state_apart(case: str) -> None:
    options = service(case)["rayClusterConfig"].get("gcsFaultToleranceOptions", {})
    # The default is each cluster's uid; ray-project/kuberay#5052 tells what a fixed one does.
    assert "externalStorageNamespace" not in options
    assert ("redisPassword" in options) == bool(options)


def test_the_head_waits_for_no_database_for_its_pod_cleans_up_redis_when_that_has_gone() -> None:
    for case in CASES:
        assert "initContainers" not in service(case)["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]


def test_without_an_autoscaler_groups_stay_at_their_least() -> None:
    cluster = service("dev")["rayClusterConfig"]
    assert cluster["enableInTreeAutoscaling"] is False
    assert "autoscalerOptions" not in cluster
    assert not any("idleTimeoutSeconds" in group for group in cluster["workerGroupSpecs"])


def test_gpu_workers_have_their_image_their_nodes_and_their_share_of_memory() -> None:
    gpu = groups("gpu")["gpu"]
    pod = gpu["template"]["spec"]
    assert (gpu["minReplicas"], gpu["maxReplicas"], gpu["idleTimeoutSeconds"]) == (2, 4, 600)
    assert pod["runtimeClassName"] == "nvidia"
    assert pod["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert all(container["image"].endswith("-gpu") for container in containers({"spec": pod}))
    assert environment(pod["containers"][0])["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.45"
    assert "XLA_PYTHON_CLIENT_MEM_FRACTION" not in environment(ray_containers("everything")[2])


def pre_stop(group: dict[str, Any]) -> list[str]:
    command: list[str] = group["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    return command


@pytest.mark.parametrize("case", CASES)
def test_replicas_have_all_of_the_drain_to_start_elsewhere_and_then_their_calls_to_end(case: str) -> None:
    drain_s = yaml.safe_load((CHART / "values.yaml").read_text())["serving"]["drainSeconds"]
    edge = deployments(case)["ingress"]._deployment_config
    for group in groups(case).values():
        grace_s = group["template"]["spec"]["terminationGracePeriodSeconds"]
        found = re.search(r"--deadline-remaining-seconds (\d+)", pre_stop(group)[-1])
        if found is None:
            assert case == "dev"
            continue
        deadline_s = int(found[1])
        # Serve stops a replica so long before the deadline, whether another one runs or not.
        assert deadline_s - edge.graceful_shutdown_timeout_s == drain_s
        assert grace_s >= deadline_s + 20 + 30


def test_a_worker_that_is_alone_waits_for_no_other() -> None:
    [worker] = groups("dev").values()
    assert pre_stop(worker) == ["bash", "-c", "sleep 5; ray stop --force"]
    assert all("drain-node" in pre_stop(group)[-1] for group in groups("gpu").values())


@pytest.fixture
def stopping(tmp_path: Path) -> Callable[..., float]:
    """Run what a worker does before it stops, with a `ray` and a /proc of the test's; the seconds that it took."""

    def run(ray: str, replica_s: float = 0.0) -> float:
        bin_, proc = tmp_path / "bin", tmp_path / "proc"
        (proc / "7").mkdir(parents=True)
        bin_.mkdir()
        (bin_ / "ray").write_text(f"#!/bin/sh\n{ray}\n")
        (bin_ / "ray").chmod(0o755)
        process = proc / "7" / "cmdline"
        process.write_bytes(b"ray::ServeReplica:luna:ingress\0" if replica_s else b"raylet\0")
        # Its own command line names replicas as well.
        own = proc / "8"
        own.mkdir()
        bash, option, script = pre_stop(groups("default")["cpu"])
        (own / "cmdline").write_text(f"{bash}\0{option}\0{script}\0")
        timer = Timer(replica_s, process.write_bytes, [b"raylet\0"])
        timer.start()
        begun = time.monotonic()
        environment = {**os.environ, "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}"}
        script = script.replace("/proc/", f"{proc}/").replace("120", "15")
        subprocess.run([bash, option, script], env=environment, check=True, timeout=60)
        timer.cancel()
        return time.monotonic() - begun

    return run


@pytest.mark.parametrize(
    ("ray", "replica_s", "least", "most"),
    [
        # Without a head: as long as load balancers need to forget it.
        ("exit 1", 60.0, 9, 14.5),
        # They have moved.
        ("exit 0", 12.0, 11.5, 14.5),
        # None can.
        ("exit 0", 60.0, 14, 30),
    ],
    ids=["no head", "moved", "nowhere"],
)
def test_a_worker_goes_when_its_replicas_have_moved(
    stopping: Callable[..., float], ray: str, replica_s: float, least: float, most: float
) -> None:
    assert least <= stopping(ray, replica_s) <= most


def annotated(*args: object) -> set[str | None]:
    """The digests of the settings on the pods of the Ray cluster."""
    cluster = only(parsed(template(*args)), "RayService")["spec"]["rayClusterConfig"]
    pods = [group["template"] for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]]
    return {pod["metadata"].get("annotations", {}).get("luna.dev/settings") for pod in pods}


def test_a_changed_setting_rolls_a_new_cluster_where_a_deployment_has_one_replica() -> None:
    changed = ("--set", "serving.settings.dispatch.max_batch=64")
    [before], [after] = annotated(), annotated(*changed)
    assert before
    assert after
    assert before != after
    assert annotated() == annotated("--set", "operator.replicas=3")


def test_it_applies_in_place_where_every_deployment_has_two_or_where_it_is_asked_to() -> None:
    names = ("ingress", *(f"capabilities.{each.name}" for each in CAPABILITIES if each.replica is not None))
    two = ",".join(f"serving.{name}.replicas.min=2" for name in names)
    assert annotated("--set", two) == {None}
    assert annotated("--set", "serving.upgrade.settings=InPlace") == {None}
    assert None not in annotated("--set", f"{two},serving.upgrade.settings=NewCluster")
    # One machine has no room for a second cluster.
    assert annotated("--values", CHART / "values-dev.yaml") == {None}


@pytest.mark.parametrize("case", CASES)
def test_budgets_are_numbers_below_the_fewest_workers(case: str) -> None:
    """A RayCluster has no scale subresource, so the controller can count in whole pods alone."""
    budgets = of_kind(rendered(case), "PodDisruptionBudget")
    for name, group in groups(case).items():
        budget = next((b["spec"] for n, b in budgets.items() if n.endswith(f"-workers-{name}")), None)
        assert (budget is not None) == (group["minReplicas"] > 1)
        if budget:
            assert isinstance(budget["minAvailable"], int)
            assert 0 < budget["minAvailable"] < group["minReplicas"]
            assert (
                budget["selector"]["matchLabels"].items()
                <= {
                    **group["template"]["metadata"]["labels"],
                    "ray.io/group": name,
                }.items()
            )


def test_the_service_has_one_name_for_good_and_everything_leads_to_it() -> None:
    manifests = rendered("everything")
    name = only(manifests, "RayService")["spec"]["serveService"]["metadata"]["name"]
    assert name == "everything-serve"
    [rule] = only(manifests, "Ingress")["spec"]["rules"]
    assert {path["backend"]["service"]["name"] for path in rule["http"]["paths"]} == {name}
    [route] = only(manifests, "HTTPRoute")["spec"]["rules"]
    assert route["backendRefs"] == [{"name": name, "port": 8000}]


def test_accounts_are_told_where_callers_reach_luna() -> None:
    def url(*args: object) -> Any:
        [container] = only(parsed(template(*args)), "Deployment")["spec"]["template"]["spec"]["containers"]
        return environment(container)["LUNA_OPERATOR_PUBLIC_URL"]

    assert url() == "http://luna-serve.models.svc.cluster.local:8000"
    host = "ingress.enabled=true,ingress.host=luna.example.com"
    assert url("--set", host) == "http://luna.example.com"
    assert url("--set", f"{host},ingress.tls.enabled=true") == "https://luna.example.com"
    assert url("--set", f"{host},operator.publicUrl=https://api.example.com") == "https://api.example.com"


def test_a_new_chart_of_the_same_images_restarts_nothing() -> None:
    for case in CASES:
        for container in [service(case)["rayClusterConfig"]["headGroupSpec"], *groups(case).values()]:
            assert "helm.sh/chart" not in container["template"]["metadata"]["labels"]
        deployment = only(rendered(case), "Deployment")
        assert "helm.sh/chart" not in deployment["spec"]["template"]["metadata"]["labels"]

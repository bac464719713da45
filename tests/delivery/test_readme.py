"""The README's five commands: the last three run as they stand, against a real API server, operator and ingress."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.cluster.kubernetes import Kubernetes
from tests.delivery.dockerfile import ROOT
from tests.operator.operating import Operator, Surroundings
from tests.serving.platform import Luna

README = (ROOT / "README.md").read_text()
[SECTION] = re.findall(r"^## On a kind cluster in five commands\n(.*?)^## ", README, re.DOTALL | re.MULTILINE)
[BLOCK] = re.findall(r"```bash\n(.*?)```", SECTION, re.DOTALL)
COMMANDS = BLOCK.replace("\\\n", "").strip().splitlines()


def test_there_are_five_and_each_says_what_it_does():
    assert len(COMMANDS) == 5
    assert [command.split()[0] for command in COMMANDS] == ["kind", "skaffold", "kubectl", "kubectl", "curl"]
    assert all(re.search(r" {2,}# \w", command) for command in COMMANDS[:4])


def test_the_files_and_names_in_them_exist():
    for path in re.findall(r"(?:--config|-f) (\S+)", BLOCK):
        assert (ROOT / path).is_file()
    targets = re.findall(r"`make ([a-z-]+)`", SECTION)
    assert targets
    for target in targets:
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def kubeconfig_of(kubernetes: Kubernetes, namespace: str, folder: Path) -> Path:
    """Another kubeconfig of the cluster, whose context is in a namespace."""
    path = folder / "kubeconfig"
    shutil.copyfile(kubernetes.kubeconfig, path)
    path.chmod(0o600)
    kubernetes.kubectl("config", "set-context", "--current", "--namespace", namespace, "--kubeconfig", path)
    return path


# It may be the first to start a cluster and Ray.
@pytest.mark.timeout(600)
def test_an_account_of_the_examples_gets_a_key_that_is_answered(
    luna_cluster: Kubernetes, namespace: str, platform: Luna, tmp_path: Path
):
    kubeconfig = kubeconfig_of(luna_cluster, namespace, tmp_path)
    stores = Surroundings(luna_cluster.kubeconfig, platform.database_url, platform.redis_url, platform.peppers)
    path = os.pathsep.join([str(luna_cluster.program("kubectl").parent), os.environ["PATH"]])
    environment = luna_cluster.environment | {"KUBECONFIG": str(kubeconfig), "PATH": path}
    forwarded = "http://127.0.0.1:8000"
    assert forwarded in COMMANDS[4]

    def run(command: str) -> str:
        shell = ["bash", "-euo", "pipefail", "-c", command.replace(forwarded, platform.url)]
        ran = subprocess.run(shell, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    assert urlsplit(platform.url).hostname == "127.0.0.1"
    with Operator(stores, tmp_path) as operator:
        operator.wait_ready()
        run(COMMANDS[2])
        run(COMMANDS[3])
        answer = json.loads(run(COMMANDS[4]))
        [promised] = {*re.findall(r"```json\n(.*?)```", README, re.DOTALL)[:1]}
        assert answer == json.loads(promised)
        # While the operator still runs: its finalizer holds the account.
        run("kubectl delete account quickstart --wait=true --timeout=30s")

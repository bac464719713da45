"""Settings that `luna up` refuses before it starts anything, by name and with the cure."""

import os
import subprocess
import sys

import pytest


def refused(app: str = "luna_serving.app", **environment: str) -> str:
    command = [sys.executable, "-P", "-m", "luna_serving.local.loopback.application", app]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LUNA_")}
    done = subprocess.run(command, capture_output=True, text=True, env=clean | environment, check=False)
    assert (done.returncode != 0) is bool(done.stderr.strip())
    return done.stderr.strip()


def test_what_clients_and_tests_set_is_no_setting() -> None:
    others = {"LUNA_ACCOUNT_ID": "3", "LUNA_API_KEY": "k", "LUNA_PEPPERS": "a:b", "LUNA_OPERATOR_HOST": "h"}
    assert refused(**others, LUNA_KALMAN_REPLICAS_MAX="2", LUNA_HOSTS='{"compute": ["*"]}') == ""


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"LUNA_EGDE_REPLICAS_MIN": "1"}, "LUNA_EGDE_REPLICAS_MIN is not a setting"),
        ({"LUNA_REQUEST_TIMEOUT_S": "5"}, "LUNA_REQUEST_TIMEOUT_S is not a setting"),
        ({"LUNA_EDGE_FOO": "1"}, "LUNA_EDGE_FOO is not a setting"),
        (
            {"LUNA_EDGE_REPLICAS_MIN": "9"},
            "LUNA_EDGE cannot be used: replicas_min (9) must not",
        ),
        ({"LUNA_EDGE_REQUEST_TIMEOUT_S": "inf"}, "LUNA_EDGE_REQUEST_TIMEOUT_S cannot be used"),
        ({"LUNA_PROXY": "nginx"}, "LUNA_PROXY cannot be used"),
        ({"LUNA_HOSTS": "compute"}, "Write it as JSON, such as LUNA_HOSTS="),
        ({"LUNA_HOSTS": '{"workers": ["*"]}'}, "LUNA_HOSTS: 'workers' cannot name a host"),
        ({"LUNA_ONLY": "weather"}, "choose from account, kalman, people"),
        ({"LUNA_ONLY": ","}, "LUNA_ONLY cannot be used: Name at least one capability"),
        ({"app": "no.such.module"}, "in a folder of PYTHONPATH"),
        ({"app": "../x"}, "in a folder of PYTHONPATH"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(environment: dict[str, str], words: str) -> None:
    assert words in refused(**environment)
